"""Small models for the tests, by configuration and with every combination of options."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from translator.config import ModelConfig
from translator.model import EncoderDecoder, build_model
from translator.packing import Packed, TokenLinks

VOCAB_SIZE = 20
OPTIONS = [
    {"norm": norm, "positions": positions, "sinusoids": sinusoids, "activation": activation, "tied_embeddings": tied}
    for norm, (positions, sinusoids), activation, tied in product(
        ("pre", "post"),
        (
            ("sinusoidal", "interleaved"),
            ("sinusoidal", "halves"),
            ("learned", "interleaved"),
            ("rotary", "interleaved"),
        ),
        ("relu", "gelu", "swiglu"),
        ("all", "target", "none"),
    )
]


@dataclass(frozen=True)
class PackedBatch:
    source: Packed
    target_input: Packed
    labels: Tensor
    links: TokenLinks | None = None


def small_config(**options: object) -> ModelConfig:
    """Two layers of width 16 with different heads, without dropout, and what `options` change."""
    sizes = {"d_model": 16, "d_ff": 24, "encoder_layers": 2, "decoder_layers": 2, "max_positions": 40, "dropout": 0.0}
    heads = {"encoder_heads": (2, 4), "decoder_heads": (4, 1)}
    return ModelConfig.model_validate(sizes | heads | options)


def small_model(seed: int = 0, label_smoothing: float = 0.0, **options: object) -> EncoderDecoder:
    torch.manual_seed(seed)
    return build_model(small_config(**options), VOCAB_SIZE, VOCAB_SIZE, label_smoothing)


def random_batch(source_lengths: list[int], target_lengths: list[int], seed: int = 0) -> PackedBatch:
    generator = torch.Generator().manual_seed(seed)
    source, target_input, labels = (
        [torch.randint(1, VOCAB_SIZE, (n,), generator=generator) for n in lengths]
        for lengths in (source_lengths, target_lengths, target_lengths)
    )
    return PackedBatch(Packed.from_sequences(source), Packed.from_sequences(target_input), torch.cat(labels))
