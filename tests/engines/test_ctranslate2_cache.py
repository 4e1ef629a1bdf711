"""A model is converted once, and again if anything that it depends on changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from translator.checkpoint import load_model
from translator.config import ModelConfig
from translator.decoding.errors import DecodingError
from translator.engines import ctranslate2_cache
from translator.engines.ctranslate2_cache import converted

pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")


def test_the_second_conversion_finds_the_first(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    loaded = load_model(model_directory)
    folder = converted(model_directory, loaded.config.model, loaded.tokenizers)
    assert folder.is_relative_to(tmp_path) and [path.name for path in folder.parent.iterdir()] == [folder.name]
    monkeypatch.setattr(ctranslate2_cache, "load_model", lambda path: pytest.fail("was converted again"))
    shutil.copytree(model_directory, tmp_path / "copy", symlinks=True)
    assert converted(tmp_path / "copy", loaded.config.model, loaded.tokenizers) == folder


def test_another_configuration_is_converted_anew(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    loaded = load_model(model_directory)
    folder = converted(model_directory, loaded.config.model, loaded.tokenizers)
    other = ModelConfig.model_validate(loaded.config.model.model_dump() | {"norm": "post"})
    assert converted(model_directory, other, loaded.tokenizers) != folder


def test_a_cache_that_cannot_be_written_is_named(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "translator").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    loaded = load_model(model_directory)
    with pytest.raises(DecodingError, match=r"could not be written to .*set XDG_CACHE_HOME to a writable directory"):
        converted(model_directory, loaded.config.model, loaded.tokenizers)
