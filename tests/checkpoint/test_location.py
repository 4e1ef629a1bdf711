from __future__ import annotations

import re
from pathlib import Path

import pytest

from translator.checkpoint import location
from translator.checkpoint.location import ModelNotFoundError, find_model


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
        ModelNotFoundError, match=re.escape("Received: yy-xx; there is no such path. Bundled models: xx-yy.")
    ):
        find_model("yy-xx")


def test_a_hub_id_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(hub_id: str, allow_patterns: list[str]) -> str:
        assert hub_id == "someone/fr-en"
        assert not any("pt" in pattern or pattern == "*" for pattern in allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert find_model("someone/fr-en") == tmp_path


def test_what_the_hub_does_not_give_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(hub_id: str, allow_patterns: list[str]) -> str:
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(ModelNotFoundError, match=r"Received: someone/fr-en; .* the hub does not give it: no network$"):
        find_model("someone/fr-en")


@pytest.mark.parametrize("name", ["nothing", "/no/such/path", "a/b/c", "", "runs/slip"])
def test_what_is_no_model_is_refused_without_asking_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    if name:
        with pytest.raises(ModelNotFoundError, match=f"Received: {name}; there is no such path. Bundled models: "):
            find_model(name)
