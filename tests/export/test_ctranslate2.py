"""A model exported to CTranslate2's format is one folder that both CTranslate2 and the translator load."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sentences import PAIRS

from translator import Translator
from translator.checkpoint import load_model
from translator.export import ctranslate2 as export_module
from translator.export.ctranslate2 import export_to_ctranslate2
from translator.export.folder import ExportError

ctranslate2 = pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")


def test_an_exported_model_translates_as_the_original(model_directory: Path, tmp_path: Path) -> None:
    parity = export_to_ctranslate2(load_model(model_directory), tmp_path / "xx-yy", PAIRS)
    assert parity.max_difference < 1e-4 and parity.greedy + parity.ties == parity.texts == len(PAIRS)
    names = {path.name for path in (tmp_path / "xx-yy").iterdir()}
    assert names == {"model.bin", "config.json", "shared_vocabulary.json", "tokenizer.model", "config.yaml"}
    sources = [source for source, _ in PAIRS]
    exported, original = Translator.load(tmp_path / "xx-yy", "cpu"), Translator.load(model_directory, "cpu")
    for ours, theirs in zip(original.translate(sources), exported.translate(sources), strict=True):
        assert theirs.text == ours.text


def test_ctranslate2_alone_gives_the_same_greedy_texts(model_directory: Path, tmp_path: Path) -> None:
    loaded = load_model(model_directory)
    export_to_ctranslate2(loaded, tmp_path / "model", PAIRS)
    engine = ctranslate2.Translator(str(tmp_path / "model"), compute_type="float32", intra_threads=1)
    source = loaded.tokenizers.source
    pieces = [source.pieces(source.encode(text)) for text, _ in PAIRS]
    options = {"disable_unk": True, "suppress_sequences": [["<s>"]], "max_decoding_length": 40}
    found = engine.translate_batch(pieces, beam_size=1, length_penalty=0, **options)
    expected = Translator.of(loaded).translate([text for text, _ in PAIRS], beam_size=1, max_length_factor=100.0)
    assert [tuple(each.hypotheses[0]) for each in found] == [each.tokens for each in expected]


@pytest.mark.parametrize("quantization", ["int8", "float16", "bfloat16"])
def test_a_quantized_model_is_smaller_and_compared(model_directory: Path, tmp_path: Path, quantization: str) -> None:
    loaded = load_model(model_directory)
    export_to_ctranslate2(loaded, tmp_path / "float32", PAIRS)
    parity = export_to_ctranslate2(
        loaded,
        tmp_path / quantization,
        PAIRS,
        quantization=quantization,
        has_references=True,  # type: ignore[arg-type]
    )
    sizes = [(tmp_path / name / "model.bin").stat().st_size for name in ("float32", quantization)]
    assert sizes[1] < 0.7 * sizes[0]
    assert 1e-5 < parity.mean_difference < 0.1 and parity.bleu is not None
    assert Translator.load(tmp_path / quantization, "cpu").translate(PAIRS[0][0]).text


def test_an_export_that_decodes_differently_leaves_nothing(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_another(loaded: object, directory: Path, quantization: None) -> None:
        other = load_model(model_directory)
        with torch.no_grad():
            for parameter in other.model.parameters():
                parameter.mul_(1.01)
        write_model(other, directory, quantization)

    write_model = export_module.write_model
    monkeypatch.setattr(export_module, "write_model", write_another)
    with pytest.raises(ExportError, match=r"Nothing was written\. Received:\nscores of"):
        export_to_ctranslate2(load_model(model_directory), tmp_path / "model", PAIRS)
    assert not list(tmp_path.iterdir())
