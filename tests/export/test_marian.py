"""`MarianMTModel` computes what an exported model computes."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sentences import PAIRS

from translator import Translator
from translator.checkpoint import LoadedModel
from translator.config import DecodingChanges, ModelConfig, TokenizerConfig
from translator.engines.torch_engine import TorchEngine
from translator.export import marian
from translator.export.folder import ExportError
from translator.export.marian import export_to_marian, obstacles
from translator.export.transformers_engine import TransformersEngine
from translator.tokenizer import Tokenizers

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

Build = Callable[..., LoadedModel]
POST_NORM: dict[str, Any] = {"norm": "post", "sinusoids": "halves"}
VARIATIONS: dict[str, dict[str, Any]] = {
    "halves": {},
    "interleaved": {"sinusoids": "interleaved"},
    "gelu": {"activation": "gelu"},
    "swish": {"activation": "swish"},
    "output bias": {"output_bias": True},
    "target embedding tied": {"tied_embeddings": "target"},
    "no embeddings tied": {"tied_embeddings": "none", "sinusoids": "interleaved"},
    "other sizes": {"encoder_layers": 1, "decoder_layers": 3, "encoder_heads": 2, "decoder_heads": (8, 8, 8)},
}


@pytest.mark.parametrize("changes", VARIATIONS.values(), ids=VARIATIONS)
def test_each_variation_is_the_same_in_transformers(
    changes: dict[str, Any], random_model: Build, tmp_path: Path
) -> None:
    parity = export_to_marian(random_model(**(POST_NORM | changes)), tmp_path / "model", PAIRS)
    assert parity is not None and parity.texts > 3
    assert parity.max_difference < 1e-4 and parity.greedy + parity.ties == parity.texts
    assert parity.beam > 0.5 * parity.texts  # transformers divides by another length


def test_cross_attention_is_the_same_in_transformers(random_model: Build, tmp_path: Path) -> None:
    loaded = random_model(**POST_NORM)
    export_to_marian(loaded, tmp_path / "model", PAIRS)
    pairs = [(loaded.tokenizers.source.encode(a), loaded.tokenizers.target.encode(b)[:39]) for a, b in PAIRS[:6]]
    pairs.append((pairs[0][0], []))
    engines = (TorchEngine(loaded.model), TransformersEngine(tmp_path / "model"))
    for expected, found in zip(*(engine.cross_attention(pairs, 60) for engine in engines), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_text_goes_through_the_exported_tokenizer(random_model: Build, tmp_path: Path) -> None:
    separate = Tokenizers.train(PAIRS * 20, TokenizerConfig(vocab_size=298, joint=False), seed=1)
    loaded = random_model(separate, **POST_NORM, tied_embeddings="target")
    export_to_marian(loaded, tmp_path / "model", PAIRS)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model").eval()
    texts = [source for source, _ in PAIRS[:5]] + ["un </s> deux", "🙂 你好"]
    encoded = tokenizer(texts, return_tensors="pt", padding=True)
    expected = [[*separate.source.encode(text), separate.source.eos_id] for text in texts]
    assert tokenizer(texts).input_ids == expected
    with torch.inference_mode():
        output = model.generate(**encoded, num_beams=1, max_length=20)
    greedy = DecodingChanges(beam_size=1, no_repeat_ngram=0, protect=False, guard=False)
    found = Translator.of(loaded).translate(texts, max_length_factor=100.0, **greedy)
    for ids, translation in zip(output[:, 1:].tolist(), found, strict=True):
        if "split" not in translation.flags:  # transformers does not split long text
            assert tuple(separate.target.pieces(i for i in ids if i > 2)) == translation.tokens[:19]
    assert sum("split" not in translation.flags for translation in found) > 3
    for _, target in PAIRS[:5]:
        assert tokenizer.decode(separate.target.encode(target)) == target


def test_all_obstacles_are_named_at_once(random_model: Build, tmp_path: Path) -> None:
    loaded = random_model(positions="rotary", activation="swiglu", encoder_heads=(2, 4))
    with pytest.raises(ExportError, match="no counterpart") as caught:
        export_to_marian(loaded, tmp_path / "model", PAIRS)
    assert [line.split(" must be ")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        "model.norm",
        "model.final_norm",
        "model.positions",
        "model.activation",
        "model.encoder_heads",
    ]
    assert obstacles(ModelConfig(architecture="decoder_only", norm="post")) == [
        "model.architecture must be encoder_decoder. Received: decoder_only."
    ]
    assert not (tmp_path / "model").exists()


def test_the_files_are_complete_without_transformers(
    random_model: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert marian.export_to_marian(random_model(**POST_NORM), tmp_path / "model", PAIRS) is None
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "source.spm",
        "target.spm",
        "tokenizer_config.json",
        "vocab.json",
    }
    assert json.loads((tmp_path / "model" / "config.json").read_text())["pad_token_id"] == 1
