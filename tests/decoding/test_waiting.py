"""A search on CUDA runs ahead of the device: proved on `meta` tensors, which have a shape and hold no numbers.

They go through what CUDA tensors do, and whatever reads a number of one, which on a device is to wait for it, raises.
So a search gets as far as its first look at which texts have ended, and says how many steps that took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from translator.config import ModelConfig
from translator.decoding.beam import beam_search
from translator.decoding.repetition import GuardedState, NoRepetition
from translator.decoding.search import Decodable, greedy
from translator.model import EncoderDecoder, build_model
from translator.model.static_decoding import StaticDecoder, StaticState
from translator.packing import Packed

VOCAB_SIZE = 8000

# Not imported here: tests of the kernels decide, before that, how it runs.
pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")


class Counting(StaticDecoder):
    """Counts its steps."""

    def __init__(self) -> None:
        sizes = {"d_model": 16, "d_ff": 16, "encoder_layers": 1, "decoder_layers": 2, "positions": "rotary"}
        config = ModelConfig(**sizes, encoder_heads=2, decoder_heads=2)  # type: ignore[arg-type]
        model = build_model(config, VOCAB_SIZE, VOCAB_SIZE).to("meta").eval()
        assert isinstance(model, EncoderDecoder)
        super().__init__(model)
        self.steps = 0

    def step(self, tokens: Tensor, state: StaticState) -> Tensor:
        self.steps += 1
        return super().step(tokens, state)


class Guarded(NoRepetition[StaticState]):
    """The guard as it stands once it has counted what the sources repeat, which it does on the host."""

    def start(self, source: Packed) -> GuardedState[StaticState]:
        sentences, device = source.num_sequences, source.values.device
        tokens = torch.empty(sentences, 0, dtype=torch.int64, device=device)
        allowed = torch.empty(sentences, 1, dtype=torch.int64, device=device)
        return GuardedState(self.model.start(source), tokens, allowed, allowed)


def sources_of_some_shape(num_sentences: int) -> Packed:
    offsets = torch.empty(num_sentences + 1, dtype=torch.int32, device="meta")
    return Packed(torch.empty(30, dtype=torch.int64, device="meta"), offsets, 12)


def by_beam(model: Decodable[Any], source: Packed, limits: Sequence[int]) -> object:
    return beam_search(model, source, max_lengths=limits, beam_size=4, alpha=0.6, num_hypotheses=2)


def greedily(model: Decodable[Any], source: Packed, limits: Sequence[int]) -> object:
    return greedy(model, source, max_lengths=limits)


@pytest.mark.parametrize("is_guarded", [False, True])
@pytest.mark.parametrize("search", [by_beam, greedily])
def test_no_step_of_a_search_waits_for_the_device_but_where_it_looks(
    search: Callable[[Decodable[Any], Packed, Sequence[int]], object], is_guarded: bool
) -> None:
    model = Counting()
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        search(Guarded(model, 3) if is_guarded else model, sources_of_some_shape(3), [20, 30, 40])
    assert model.steps == 8


def test_a_search_looks_where_a_text_reaches_its_greatest_length() -> None:
    model = Counting()
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        by_beam(model, sources_of_some_shape(2), [5, 30])
    assert model.steps == 5
