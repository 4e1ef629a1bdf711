"""Decoding in static memory gives what decoding with growing caches gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from translator.config import DecodingOptions, ModelConfig
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request
from translator.decoding.search import search
from translator.model import build_model, static_decoding
from translator.model.encoder_decoder import EncoderDecoder
from translator.model.static_decoding import StaticDecoder
from translator.packing import Packed

VOCAB_SIZE = 40


def model_with(positions: str, output_bias: bool = False) -> EncoderDecoder:
    torch.manual_seed(5)
    sizes = {"d_model": 16, "d_ff": 32, "encoder_layers": 1, "decoder_layers": 2}
    config = ModelConfig(**sizes, encoder_heads=2, decoder_heads=2, positions=positions, output_bias=output_bias)
    model = build_model(config, VOCAB_SIZE, VOCAB_SIZE).eval()
    for parameter in model.parameters():
        parameter.data.mul_(2)  # further from uniform, so that beams part and sentences end at different times
    if model.output_bias is not None:
        model.output_bias.data.normal_()
    return model


def sentences(count: int, seed: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 9, (count,), generator=generator).tolist()
    return [torch.randint(4, VOCAB_SIZE, (n,), generator=generator).tolist() for n in lengths]


def assert_same(ours: list[list[Candidate]], right: list[list[Candidate]]) -> None:
    for mine, others in zip(ours, right, strict=True):
        assert [candidate.tokens for candidate in mine] == [candidate.tokens for candidate in others]
        for candidate, other in zip(mine, others, strict=True):
            assert candidate.score == pytest.approx(other.score, abs=1e-5)


@pytest.mark.parametrize(("positions", "output_bias"), [("sinusoidal", False), ("sinusoidal", True), ("rotary", False)])
def test_searches_in_static_memory_give_the_same_results(
    monkeypatch: pytest.MonkeyPatch, positions: str, output_bias: bool
) -> None:
    """One decoder for several searches, larger and smaller, whose memory grows in every direction."""
    monkeypatch.setattr(static_decoding, "_INITIAL_CAPACITY", 4)
    model = model_with(positions, output_bias)
    decoder = StaticDecoder(model)
    for seed, (count, capacity) in enumerate(((3, 16), (9, 16), (1, 8))):
        requests = [
            Request(tuple(source), 5 + 3 * (number % 3)) for number, source in enumerate(sentences(count, seed))
        ]
        for options in (
            DecodingOptions(beam_size=1),
            DecodingOptions(beam_size=4, num_hypotheses=2),
            DecodingOptions(beam_size=4, num_hypotheses=2, no_repeat_ngram=2),
        ):
            assert_same(search(decoder, requests, options), search(model, requests, options))
        assert decoder.workspace.capacity == capacity


def test_rows_of_different_sentences_may_not_mix() -> None:
    decoder = StaticDecoder(model_with("sinusoidal"))
    state = decoder.start(Packed.from_sequences(sentences(2, 0)))
    state = decoder.reorder(state, torch.tensor([0, 0, 1, 1]))
    for rows in ([0, 2, 1, 3], [2, 3, 0, 1], [0, 1, 2]):
        with pytest.raises(
            ValueError, match=r"rows must keep the sentences in order, with equally many rows for each. Received"
        ):
            decoder.reorder(state, torch.tensor(rows))


def test_a_decoder_supports_one_search_at_a_time() -> None:
    decoder = StaticDecoder(model_with("sinusoidal"))
    first = decoder.start(Packed.from_sequences(sentences(2, 0)))
    decoder.start(Packed.from_sequences(sentences(2, 1)))
    with pytest.raises(AssertionError, match="one search at a time"):
        decoder.step(torch.tensor([1, 1]), first)


def test_sizes_are_few_and_at_most_a_quarter_too_large() -> None:
    rounded = [static_decoding._rounded(size) for size in range(1, 1025)]
    assert all(size <= up <= 1.25 * size for size, up in enumerate(rounded, start=1))
    assert len(set(rounded)) < 40
    assert static_decoding._rounded(3, minimum=64) == 64


class SecondDevice:
    """The calls of `torch.cuda` that capture and replay graphs, recorded; device 0 is the current one."""

    def __init__(self) -> None:
        self.current = 0
        self.captures: list[tuple[int, int, int]] = []  # current device, device of the stream, memory pool
        self.replays: list[int] = []  # current devices
        self.pools = 0

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        previous, self.current = self.current, device.index
        yield
        self.current = previous

    @contextmanager
    def graph(self, _: object, pool: int, stream: int, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        self.captures.append((self.current, stream, pool))
        yield

    def graph_pool_handle(self) -> int:
        self.pools += 1
        return self.pools

    def Stream(self, device: torch.device) -> int:  # noqa: N802
        return device.index

    def CUDAGraph(self) -> Any:  # noqa: N802
        return self

    def replay(self) -> None:
        self.replays.append(self.current)


@pytest.fixture
def second_device(monkeypatch: pytest.MonkeyPatch) -> SecondDevice:
    cuda = SecondDevice()
    for name in ("device", "graph", "graph_pool_handle", "Stream", "CUDAGraph"):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    return cuda


def test_graphs_are_captured_and_replayed_on_the_device_of_the_decoder(second_device: SecondDevice) -> None:
    """Captured on the current device, the graph of a step on another device is empty."""
    graphs, steps = static_decoding._Graphs(torch.device("cuda", 1)), []
    for _ in range(4):
        graphs.run((1, 1, 64), lambda: steps.append(second_device.current))
    assert steps == [0, 1]  # in eager mode, then captured
    assert second_device.captures == [(1, 1, 1)]
    assert second_device.replays == [1, 1, 1]


def test_all_graphs_of_a_workspace_share_one_memory_pool(second_device: SecondDevice) -> None:
    graphs = static_decoding._Graphs(torch.device("cuda", 1))

    def pools_of(shapes: list[tuple[int, int, int]]) -> list[int]:
        second_device.captures.clear()
        for shape in shapes * 2:
            graphs.run(shape, lambda: None)
        return [pool for _, _, pool in second_device.captures]

    assert pools_of([(1, 1, 64), (2, 1, 64), (2, 4, 64)]) == [1, 1, 1]
    graphs.clear()  # torch refuses to capture into a pool whose graphs are gone
    assert pools_of([(1, 1, 64), (2, 1, 64)]) == [2, 2]


def test_logits_are_in_the_workspace_and_overwritten_by_the_next_step() -> None:
    decoder = StaticDecoder(model_with("sinusoidal"))
    state = decoder.start(Packed.from_sequences(sentences(2, 0)))
    first = decoder.step(torch.tensor([1, 1]), state)
    second = decoder.step(torch.tensor([5, 6]), state)
    assert first.data_ptr() == second.data_ptr() == decoder.workspace.logits.data_ptr()
