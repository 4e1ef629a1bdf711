from __future__ import annotations

import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest

from translator.checkpoint import (
    CheckpointError,
    locate_weights,
    location,
    point,
    read_weights,
    write_checkpoint,
)
from translator.checkpoint.location import ModelNotFoundError, find_model
from translator.tokenizer import Tokenizers


def test_a_path_that_exists_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert find_model("owner/name") == Path("owner/name")
    assert find_model(tmp_path) == tmp_path


def test_a_bundled_model_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(location, "_bundle", lambda: tmp_path / "models")
    (tmp_path / "models" / "xx-yy").mkdir(parents=True)
    (tmp_path / "models" / "xx-yy" / "config.yaml").touch()
    assert find_model("xx-yy") == tmp_path / "models" / "xx-yy"
    with pytest.raises(
        ModelNotFoundError, match=re.escape("Received: yy-xx, which does not exist. Bundled models: xx-yy.")
    ):
        find_model("yy-xx")


def test_a_hub_id_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(hub_id: str, allow_patterns: list[str]) -> str:
        assert hub_id == "someone/fr-en"
        files = ["model.safetensors", "model.bin", "config.json", "shared_vocabulary.json", "source_vocabulary.json"]
        assert all(any(fnmatch(file, pattern) for pattern in allow_patterns) for file in files)
        assert not any(fnmatch("training_state.pt", pattern) for pattern in allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert find_model("someone/fr-en") == tmp_path


def test_what_the_hub_does_not_give_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(hub_id: str, allow_patterns: list[str]) -> str:
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(ModelNotFoundError, match=r"Received: someone/fr-en, .* the hub does not have: no network$"):
        find_model("someone/fr-en")


@pytest.mark.parametrize("name", ["nothing", "/no/such/path", "a/b/c", "", "runs/slip"])
def test_what_is_no_model_is_refused_without_asking_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    if name:
        with pytest.raises(ModelNotFoundError, match=f"Received: {name}, which does not exist. Bundled models: "):
            find_model(name)


def test_a_directory_that_is_not_a_model_does_not_hide_a_bundled_model(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    bundled = find_model("fr-en")
    (tmp_path / "fr-en").mkdir()
    (tmp_path / "fr-en" / "notes.txt").touch()
    assert find_model("fr-en") == bundled
    assert not caplog.text
    shutil.rmtree(tmp_path / "fr-en")
    shutil.copytree(model_directory, tmp_path / "fr-en", symlinks=True)
    assert find_model("fr-en") == Path("fr-en")
    assert f"using the directory {tmp_path}/fr-en, not the bundled model" in caplog.text
    shutil.rmtree(tmp_path / "fr-en")
    (tmp_path / "fr-en").mkdir()
    (tmp_path / "fr-en" / "model.bin").touch()  # exported to CTranslate2's format
    assert find_model("fr-en") == Path("fr-en")


def test_what_is_not_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"A model must be a directory\. Received: .*file, which is a file"):
        locate_weights(tmp_path / "file")
    with pytest.raises(CheckpointError, match="which does not exist"):
        locate_weights(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="with nothing"):
        locate_weights(tmp_path / "empty")


def test_of_a_run_the_best_checkpoint_is_taken_then_the_last_then_the_newest(
    model_directory: Path, tokenizers: Tokenizers, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(model_directory, tmp_path / "run", symlinks=True))
    weights, _ = read_weights(run / "best" / "model.safetensors")
    steps = [run / "checkpoints" / "step-1"]
    steps += [write_checkpoint(run, f"step-{step}", weights, tokenizers) for step in (9, 10)]
    point(run, "last", steps[1])

    def found(path: Path = run) -> Path:
        home, file = locate_weights(path)
        assert home == run and file.name == "model.safetensors"
        return file.parent

    assert found() == steps[0]
    (run / "best").unlink()
    assert found() == steps[1]
    (run / "last").unlink()
    (run / "last").symlink_to("checkpoints/step-99")
    assert found() == steps[2]
    (run / "last").unlink()
    (run / "last").write_text("checkpoints/step-9\n")  # a link where there are no links
    assert found() == steps[1] and found(run / "last") == steps[1]
    (run / "last").unlink()
    shutil.copytree(steps[1], run / "last")  # a link that became a folder
    assert found() == run / "last" and found(run / "last") == run / "last"
    shutil.rmtree(run / "last")
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(CheckpointError, match=r"must have model\.safetensors or a checkpoint\. .* Train it first"):
        locate_weights(run)
