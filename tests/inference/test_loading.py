"""A model that was trained elsewhere is loaded on the device at hand."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from translator import Translator
from translator.checkpoint import load_model
from translator.decoding.errors import DecodingError
from translator.export.ctranslate2 import export_to_ctranslate2
from translator.inspection.attention_maps import attention_maps
from translator.inspection.reading import InspectionError

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


def test_a_model_translates_alike_with_either_engine(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sources = [*SOURCES, "", "LE CHAT DORT. Il a faim !"]
    results = [
        Translator.load(model_directory, "cpu", engine=engine).translate(
            sources, split_sentences=True, fold_capitals=True, num_hypotheses=2
        )
        for engine in ("torch", "ctranslate2")
    ]
    for ours, theirs in zip(*results, strict=True):
        assert (theirs.text, theirs.flags) == (ours.text, ours.flags)
        assert theirs.score == pytest.approx(ours.score, abs=0.05)
    assert [path.name for path in tmp_path.glob("translator/*")] == ["ctranslate2"]


def test_the_bundled_model_translates_with_ctranslate2_as_it_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sources = [*SOURCES, "NE PAS FUMER ICI.", "Bonjour. Ça va ? Oui !", "Il a dit : « Je viens demain. »", ""]
    ours, theirs = (
        Translator.load("fr-en-tiny", "cpu", engine=name).translate(sources) for name in ("torch", "ctranslate2")
    )
    assert [(each.text, each.flags) for each in theirs] == [(each.text, each.flags) for each in ours]


def test_an_engine_that_cannot_be_used_is_refused(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DecodingError, match=r"engine must be auto, torch or ctranslate2\. Received: 'onnx'"):
        Translator.load(model_directory, "cpu", engine="onnx")
    exported = tmp_path / "exported"
    export_to_ctranslate2(load_model(model_directory), exported, [("Oui.", "Yes.")])
    with pytest.raises(DecodingError, match=r"engine: torch requires a model directory\. Received: .*exported"):
        Translator.load(exported, "cpu", engine="torch")
    with pytest.raises(DecodingError, match=r"has the data type that it was exported with\. .*'bfloat16'"):
        Translator.load(exported, "cpu", precision="bfloat16")
    translator = Translator.load(model_directory, "cpu", engine="ctranslate2")
    with pytest.raises(DecodingError, match=r"CTranslate2Engine does not support these options\. Received: min_p=0\.1"):
        translator.translate("Oui.", sample=True, min_p=0.1)
    with pytest.raises(
        InspectionError, match=r"requires a PyTorch model\. Received: CTranslate2Engine\. Use engine: torch"
    ):
        attention_maps(translator, "Oui.")


def test_both_engines_give_prefixes_alternatives_and_alignments_alike(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    translators = [Translator.load(model_directory, "cpu", engine=engine) for engine in ("torch", "ctranslate2")]
    texts, prefixes = ["Le chat dort.", "Où est la gare ?"], ["The cat", ""]
    translations = [
        each.translate(texts, target_prefix=prefixes, alignment=True, beam_size=1, no_repeat_ngram=0)
        for each in translators
    ]
    for ours, theirs in zip(*translations, strict=True):
        assert theirs.text == ours.text
        assert theirs.hypotheses[0].alignment == ours.hypotheses[0].alignment
    assert translations[1][0].text.startswith("The cat")
    alternatives = [
        each.alternatives(texts[0], "The", num_hypotheses=3, beam_size=3, no_repeat_ngram=0).hypotheses
        for each in translators
    ]
    assert [each.text for each in alternatives[1]] == [each.text for each in alternatives[0]]
    assert len({each.text for each in alternatives[1]}) == 3
