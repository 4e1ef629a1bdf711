"""A search runs ahead of a CUDA device: proved on `meta` tensors, which have a shape but no data.

They take the path of CUDA tensors, and reading a value of one, which would synchronize with a device, raises. So a
search runs until its first check for finished sentences, and the number of steps is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from translator.config import ModelConfig
from translator.decoding import search
from translator.decoding.beam import BeamSelection
from translator.decoding.constraints import Constraints, NgramLimits, NoRepeatedNgram
from translator.decoding.greedy import GreedySelection
from translator.decoding.request import Request
from translator.decoding.search import Selection, decode
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


class NgramsOfUnknownSources(NoRepeatedNgram):
    """The constraint without counting what the sources repeat, which happens on the host."""

    def start(self, requests: Sequence[Request], device: torch.device) -> NgramLimits:
        limits = torch.empty(len(requests), 1, dtype=torch.int64, device=device)
        return NgramLimits(limits, limits)


@pytest.fixture(autouse=True)
def meta_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources whose tensors are on the `meta` device."""

    def sources(requests: Sequence[Request], device: torch.device) -> Packed:
        offsets = torch.empty(len(requests) + 1, dtype=torch.int32, device=device)
        return Packed(torch.empty(30, dtype=torch.int64, device=device), offsets, 12)

    monkeypatch.setattr(search, "pack_sources", sources)


def steps_before_the_first_check(selection: Selection, limits: Sequence[int], *, is_constrained: bool = False) -> int:
    model, rules = Counting(), Constraints([NgramsOfUnknownSources(3)] if is_constrained else [])
    requests = [Request((), limit) for limit in limits]
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        decode(model, requests, selection, rules, 1, 0.6, torch.device("meta"))
    return model.steps


@pytest.mark.parametrize("is_constrained", [False, True])
@pytest.mark.parametrize("selection", [GreedySelection(), BeamSelection(4)])
def test_no_step_synchronizes_except_a_check(selection: Selection, is_constrained: bool) -> None:
    assert steps_before_the_first_check(selection, [20, 30, 40], is_constrained=is_constrained) == 8


def test_a_search_checks_where_a_sentence_reaches_its_maximum_length() -> None:
    assert steps_before_the_first_check(BeamSelection(4), [5, 30]) == 5
