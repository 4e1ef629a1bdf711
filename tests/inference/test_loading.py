"""A model that was trained elsewhere is loaded on the device at hand."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from translator import Translator

SOURCES = ["Où est la gare ?", "Le chat dort."]


@pytest.mark.parametrize("attention", ["triton", "sdpa", "reference"])
def test_a_model_with_an_explicit_attention_backend_translates_on_the_cpu(
    model_directory: Path,
    tmp_path: Path,
    attention: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    shutil.copytree(model_directory, tmp_path / "model", symlinks=True)
    config = tmp_path / "model" / "config.yaml"
    assert "attention: auto" in config.read_text()
    config.write_text(config.read_text().replace("attention: auto", f"attention: {attention}"))
    expected = Translator.load(model_directory, device="cpu").translate(SOURCES)
    with caplog.at_level(logging.INFO):
        translator = Translator.load(tmp_path / "model", device="cpu")
    assert [each.text for each in translator.translate(SOURCES)] == [each.text for each in expected]
    messages = [record.message for record in caplog.records if "backend of the model cannot be used" in record.message]
    assert len(messages) == (attention == "triton")
