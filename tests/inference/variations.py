"""Model directories of the other architectures, with random weights: small, quick to make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from translator.checkpoint import CONFIG_FILE, point, weights_of, write_checkpoint
from translator.config import to_yaml, validate
from translator.model import build_model
from translator.tokenizer import Tokenizers

LABELS = ("animal", "place", "food")
SECTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "language_modeling": {"model": {"architecture": "decoder_only"}},
    "classification": {"model": {"architecture": "encoder_only"}, "data": {"labels": LABELS}},
    "masked_language_modeling": {"model": {"architecture": "encoder_only"}, "tokenizer": {"sentinels": 1}},
    "translation": {
        "model": {"architecture": "decoder_only"},
        "data": {"source_language": "fr", "target_language": "en"},
    },
}


def write_model(directory: Path, objective: str, tokenizers: Tokenizers) -> Path:
    """A model of this objective, in a directory of its own."""
    sections = SECTIONS[objective]
    sizes = {"d_model": 32, "d_ff": 64, "encoder_layers": 2, "decoder_layers": 2, "max_positions": 60}
    values = {
        "output": str(directory),
        "data": {"train": "none.tsv"} | sections.get("data", {}),
        "tokenizer": {"vocab_size": 330} | sections.get("tokenizer", {}),
        "model": sizes | {"encoder_heads": 4, "decoder_heads": 4} | sections["model"],
        "training": {"objective": objective},
        "decoding": {"beam_size": 3, "batch_tokens": 40},
    }
    config = validate(values, "the tests' configuration")
    torch.manual_seed(5)
    vocab_size = tokenizers.source.vocab_size
    model = build_model(config.model, vocab_size, vocab_size, num_labels=len(config.data.labels))
    for parameter in model.parameters():
        parameter.data.mul_(1.5)  # further from uniform, so that answers differ
    directory.mkdir(parents=True)
    (directory / CONFIG_FILE).write_text(to_yaml(config), encoding="utf-8")
    tokenizers.save(directory)
    point(directory, "best", write_checkpoint(directory, "step-1", weights_of(model), tokenizers))
    return directory
