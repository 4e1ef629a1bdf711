"""Every variation of the model computes in CTranslate2 what it computes in torch."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sentences import PAIRS

from translator.checkpoint import LoadedModel
from translator.config import DecodingOptions, ModelConfig, TokenizerConfig
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request
from translator.engines.ctranslate2_engine import CTranslate2Engine
from translator.engines.ctranslate2_model import obstacles, require_convertible, write_model
from translator.engines.torch_engine import TorchEngine
from translator.tokenizer import Tokenizers

Build = Callable[..., LoadedModel]

pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")

VARIATIONS: dict[str, dict[str, Any]] = {
    "pre-norm": {},
    "pre-norm without final norm": {"final_norm": False},
    "post-norm": {"norm": "post"},
    "post-norm with final norm": {"norm": "post", "final_norm": True},
    "sinusoids in halves": {"sinusoids": "halves"},
    "learned positions": {"positions": "learned"},
    "rotary positions": {"positions": "rotary"},
    "gelu": {"activation": "gelu"},
    "swish": {"activation": "swish"},
    "swiglu": {"activation": "swiglu"},
    "output bias": {"output_bias": True},
    "target embedding tied": {"tied_embeddings": "target"},
    "no embeddings tied": {"tied_embeddings": "none"},
    "other heads in the decoder": {"encoder_heads": 4, "decoder_heads": 2},
    "heads by layer": {"encoder_heads": (4, 2), "decoder_heads": (2, 8)},
    "heads by layer, rotary": {"encoder_heads": (4, 2), "decoder_heads": (2, 8), "positions": "rotary"},
    "alignment layer": {"alignment_layer": 1},
    "alignment head": {"alignment_head": 2, "alignment_layer": 1},
    "alignment head, heads by layer": {"encoder_heads": (4, 2), "decoder_heads": (8, 4), "alignment_head": 3},
    "rotary, post-norm, swiglu": {"positions": "rotary", "norm": "post", "activation": "swiglu"},
}


def assert_equal_engines(loaded: Any, directory: Path) -> None:
    tokenizers = loaded.tokenizers
    torch_engine = TorchEngine(loaded.model)
    engine = CTranslate2Engine(directory, tokenizers, max_positions=40, compute_type="float32")
    pairs = [(tokenizers.source.encode(source), tokenizers.target.encode(target)) for source, target in PAIRS[:4]]
    pairs.append((tokenizers.source.encode("🙂 你"), tokenizers.target.encode("🙂 你")))
    for ours, theirs in zip(torch_engine.score(pairs, 100), engine.score(pairs, 100), strict=True):
        assert theirs == pytest.approx(ours, abs=1e-4)
    weights = [engine.cross_attention(pairs, 100) for engine in (torch_engine, engine)]
    for expected, found in zip(*weights, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    options = DecodingOptions(beam_size=1)
    requests = [Request(tuple(source), 12) for source, _ in pairs]
    greedy = [engine.search(requests, options) for engine in (torch_engine, engine)]
    assert [[each.tokens for each in found] for found in greedy[0]] == [
        [each.tokens for each in found] for found in greedy[1]
    ]


@pytest.mark.parametrize("changes", VARIATIONS.values(), ids=VARIATIONS)
def test_scores_attention_and_greedy_texts_of_each_variation_are_the_same(
    changes: dict[str, Any], random_model: Build, tmp_path: Path
) -> None:
    loaded = random_model(**changes)
    write_model(loaded, tmp_path)
    assert_equal_engines(loaded, tmp_path)


def test_separate_vocabularies_are_the_same(random_model: Build, tmp_path: Path) -> None:
    separate = Tokenizers.train(PAIRS * 20, TokenizerConfig(vocab_size=298, joint=False), seed=1)
    loaded = random_model(separate, tied_embeddings="target")
    write_model(loaded, tmp_path)
    assert_equal_engines(loaded, tmp_path)


def test_equal_models_give_equal_bytes(random_model: Build, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        write_model(random_model(), tmp_path / name)
    assert (tmp_path / "a" / "model.bin").read_bytes() == (tmp_path / "b" / "model.bin").read_bytes()


def test_all_obstacles_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert obstacles(ModelConfig()) == []
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "4.5.0")
    with pytest.raises(DecodingError, match=r"encoder_decoder\. Received: decoder_only\.\n.*ctranslate2>=4\.6\.3,<5\."):
        require_convertible(ModelConfig(architecture="decoder_only"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert obstacles(ModelConfig()) == [
        "CTranslate2 is not installed. Install it: pip install 'ctranslate2>=4.6.3,<5'."
    ]
