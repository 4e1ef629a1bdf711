"""Model directories: loaded whole or refused with a reason, and never by running what lies in them."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from translator.checkpoint import (
    CheckpointError,
    Storage,
    average_weights,
    load_checkpoint,
    load_model,
    locked,
    point,
    prune,
    read_training_state,
    read_weights,
    set_weights,
    step_checkpoints,
    weights_of,
    write_bundle,
    write_checkpoint,
)
from translator.config import ConfigError, TokenizerConfig
from translator.tokenizer import TokenizerError, Tokenizers


@pytest.fixture
def directory(model_directory: Path, tmp_path: Path) -> Path:
    """A copy of the model directory, to break."""
    return Path(shutil.copytree(model_directory, tmp_path / "model", symlinks=True))


def weights_path(directory: Path) -> Path:
    return directory / "checkpoints" / "step-1" / "model.safetensors"


def test_a_run_a_checkpoint_and_a_bundle_load_the_same_model(directory: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for file in (directory / "config.yaml", directory / "tokenizer.model", weights_path(directory)):
        shutil.copy(file, bundle)
    models = [load_checkpoint(path) for path in (directory, directory / "checkpoints" / "step-1", bundle)]
    models.append(load_checkpoint(directory / "best"))
    expected = weights_of(models[0])
    for model in models:
        assert not model.training
        assert all(torch.equal(weight, expected[name]) for name, weight in weights_of(model).items())


@pytest.mark.parametrize(("storage", "error"), [("float32", 0.0), ("bfloat16", 2**-8), ("int8", 1 / 254)])
def test_a_bundle_is_the_model_and_nothing_else(
    directory: Path, tmp_path: Path, storage: Storage, error: float
) -> None:
    (directory / "README.md").write_text("What it is.")
    (directory / "metrics.jsonl").touch()
    loaded = load_model(directory)
    bundle = write_bundle(loaded, tmp_path / "deep" / "xx-yy", storage)
    assert {file.name for file in bundle.iterdir()} == {
        "README.md",
        "config.yaml",
        "model.safetensors",
        "tokenizer.model",
    }
    again = load_model(bundle)
    assert again.config.output == "xx-yy" and again.config.model == loaded.config.model
    assert again.config.data.cache is None
    for name, weight in weights_of(loaded.model).items():
        largest = weight.abs().amax(dim=-1, keepdim=True)  # of the row, or of the whole vector
        assert ((weights_of(again.model)[name] - weight).abs() <= 1.001 * error * largest).all(), name


def test_a_bundle_never_overwrites(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thesis.tex").touch()
    loaded = load_model(directory)
    with pytest.raises(CheckpointError, match=r"written to a new folder. Received: .*here, which exists"):
        write_bundle(loaded, tmp_path / "here")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"could not be written to .*file/bundle"):
        write_bundle(loaded, tmp_path / "file" / "bundle")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["thesis.tex"]


def test_a_bundle_does_not_replace_the_folder_one_works_in(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(CheckpointError, match=r"written to a new folder\. Received: \., which exists"):
        write_bundle(load_model(directory), Path())


def test_equal_weights_make_equal_files_that_others_may_read(
    directory: Path, tokenizers: Tokenizers, tmp_path: Path
) -> None:
    weights, metadata = read_weights(weights_path(directory))
    files = [write_checkpoint(tmp_path, f"step-{step}", weights, tokenizers) / "model.safetensors" for step in range(8)]
    assert len({file.read_bytes() for file in files}) == 1  # the order of two keys is not left to chance eight times
    assert read_weights(files[0])[1] == metadata
    assert files[0].stat().st_mode & 0o666 == files[0].parent.stat().st_mode & 0o666


def test_a_tied_parameter_is_stored_once(directory: Path) -> None:
    weights, metadata = read_weights(weights_path(directory))
    assert [name for name in weights if "embedding" in name] == ["target_embedding.weight"]
    assert metadata["version"] == "1"


@pytest.mark.parametrize(
    ("missing", "error", "message"),
    [
        ("config.yaml", CheckpointError, "A model directory must have config.yaml"),
        ("tokenizer.model", TokenizerError, "without them"),
        ("checkpoints/step-1/model.safetensors", CheckpointError, "Weights must be a complete safetensors file"),
        ("best", CheckpointError, "must have model.safetensors, or a best or last checkpoint"),
    ],
)
def test_a_directory_that_lacks_a_file_is_refused(
    directory: Path, missing: str, error: type[Exception], message: str
) -> None:
    (directory / missing).unlink()
    with pytest.raises(error, match=message):
        load_model(directory)


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"A model must be a directory\. Received: .*file, which is a file"):
        load_model(tmp_path / "file")
    with pytest.raises(CheckpointError, match="which does not exist"):
        load_model(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="with nothing"):
        load_model(tmp_path / "empty")


def test_truncated_weights_are_refused(directory: Path) -> None:
    data = weights_path(directory).read_bytes()
    weights_path(directory).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="Weights must be a complete safetensors file"):
        load_model(directory)


class _Bomb:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (_explode, (str(self.path),))


def _explode(path: str) -> None:
    Path(path).touch()


def test_a_pickle_in_place_of_weights_or_training_state_is_refused_and_never_run(
    directory: Path, tmp_path: Path
) -> None:
    crater = tmp_path / "crater"
    weights_path(directory).write_bytes(pickle.dumps(_Bomb(crater)))
    with pytest.raises(CheckpointError, match="No other format is loaded as weights"):
        load_model(directory)
    (weights_path(directory).parent / "training_state.pt").write_bytes(pickle.dumps(_Bomb(crater)))
    with pytest.raises(CheckpointError, match=r"Training resumes from a complete training_state\.pt"):
        read_training_state(weights_path(directory).parent)
    torch.save(_Bomb(crater), weights_path(directory).parent / "training_state.pt")
    with pytest.raises(CheckpointError, match="Training resumes"):
        read_training_state(weights_path(directory).parent)
    assert not crater.exists()


def test_weights_of_another_format_version_are_refused(directory: Path) -> None:
    weights, _ = read_weights(weights_path(directory))
    for metadata, received in (({"version": "99"}, "version 99"), (None, "version unknown")):
        save_file(weights, weights_path(directory), metadata)
        with pytest.raises(CheckpointError, match=f"must be of format version 1. Received: .*, {received}"):
            load_model(directory)


def test_a_tokenizer_that_does_not_belong_to_the_weights_is_refused(directory: Path) -> None:
    pairs = [("un deux trois", "one two three"), ("quatre cinq", "four five")] * 20
    Tokenizers.train(pairs, TokenizerConfig(vocab_size=280), seed=1).save(directory)
    with pytest.raises(CheckpointError, match="was trained with another tokenizer"):
        load_model(directory)


def test_weights_that_do_not_fit_the_configuration_are_refused_with_the_differences(directory: Path) -> None:
    config = directory / "config.yaml"
    config.write_text(
        config.read_text().replace("d_ff: 64", "d_ff: 48").replace("decoder_layers: 2", "decoder_layers: 1")
    )
    with pytest.raises(CheckpointError, match=r"does not fit the model of its configuration: .* is unknown"):
        load_model(directory)


def test_a_configuration_that_is_broken_is_refused_as_any_other(directory: Path) -> None:
    (directory / "config.yaml").write_text("output: x\nmodell: 3\n")
    with pytest.raises(ConfigError, match="Did you mean 'model'"):
        load_model(directory)


def test_a_checkpoint_is_whole_or_not_there(model_directory: Path, tokenizers: Tokenizers, tmp_path: Path) -> None:
    weights, _ = read_weights(weights_path(model_directory))
    (tmp_path / "checkpoints" / ".step-5.partial").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".step-5.partial" / "model.safetensors").write_bytes(b"half")
    assert step_checkpoints(tmp_path) == []
    written = write_checkpoint(tmp_path, "step-5", weights, tokenizers, {"step": 5})
    assert step_checkpoints(tmp_path) == [written]
    assert read_training_state(written) == {"step": 5}
    assert not list(tmp_path.glob("checkpoints/.*"))


def test_a_directory_that_cannot_be_written_is_named(
    model_directory: Path, tokenizers: Tokenizers, tmp_path: Path
) -> None:
    weights, _ = read_weights(weights_path(model_directory))
    (tmp_path / "checkpoints").touch()  # a file where a folder must be: fails for every user
    with pytest.raises(CheckpointError, match="could not be written to"):
        write_checkpoint(tmp_path, "step-1", weights, tokenizers)
    with pytest.raises(CheckpointError, match="output must be a writable directory"), locked(tmp_path / "checkpoints"):
        pass


def test_links_and_the_kept_survive_pruning(model_directory: Path, tokenizers: Tokenizers, tmp_path: Path) -> None:
    weights, _ = read_weights(weights_path(model_directory))
    written = [write_checkpoint(tmp_path, f"step-{step}", weights, tokenizers) for step in (1, 2, 10, 20)]
    point(tmp_path, "best", written[0])
    point(tmp_path, "last", written[3])
    prune(tmp_path, written[2:3])
    assert [path.name for path in step_checkpoints(tmp_path)] == ["step-1", "step-10", "step-20"]


def test_averaging_needs_checkpoints_of_one_model(directory: Path, tokenizers: Tokenizers) -> None:
    with pytest.raises(CheckpointError, match="at least one checkpoint"):
        average_weights([])
    weights, _ = read_weights(weights_path(directory))
    other = write_checkpoint(directory, "step-2", {"target_embedding.weight": torch.zeros(3, 3)}, tokenizers)
    with pytest.raises(CheckpointError, match="must be of one model"):
        average_weights([weights_path(directory).parent, other])
    doubled = write_checkpoint(directory, "step-3", {name: 3 * w for name, w in weights.items()}, tokenizers)
    mean = average_weights([weights_path(directory).parent, doubled])
    for name, weight in weights.items():
        torch.testing.assert_close(mean[name], 2 * weight)


def test_weights_with_other_names_are_refused(model_directory: Path) -> None:
    model = load_checkpoint(model_directory)
    with pytest.raises(CheckpointError, match="is missing"):
        set_weights(model, {}, "nothing")


def test_a_lock_is_free_again_when_its_holder_is_gone(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(CheckpointError, match="is locked by another run"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass
