"""Decoding on a GPU: kernels against their memory-bandwidth limit, and whole searches.

The kernels run one step of `sentences * beams` rows: attention over 15 positions and 28 source tokens in bfloat16, and
the most probable tokens of as many rows of float32 logits. Each runs in a CUDA graph, against the same in plain torch.
The searches translate random sentences with a base model of random weights to a fixed length, greedily and with a beam
of 4: ours in bfloat16, with static memory and with growing caches; Hugging Face's `generate` of a Marian model in
bfloat16, and CTranslate2 in float16, if they are installed.

    python benchmarks/gpu_decoding.py --json results.json
    python benchmarks/gpu_decoding.py --rehearse      # smoke test on any machine

Output: one row per kernel and size with microseconds, measured and predicted (roofline.py), the fraction of the
memory-bandwidth limit (this GPU's measured copy rate), and the speedup over plain torch; then one row per search with
milliseconds and target tokens per second.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # must be set before triton is imported

import baseline_models
from measuring import (
    DEVICE,
    HAS_GPU,
    Table,
    as_graph,
    card,
    failure,
    fraction_of_limit,
    median_time,
    parse_gpu_options,
)
from roofline import PREDICTED_SEARCH_RATES, Work, predicted_seconds
from torch import Tensor
from workload import SHAPES, Shape, our_model

from translator.config import DecodingOptions
from translator.decoding.request import Request
from translator.decoding.search import search
from translator.kernels import decode_attention, decode_cross_attention
from translator.kernels.triton_top_tokens import triton_top_tokens
from translator.model import EncoderDecoder
from translator.model.static_decoding import StaticDecoder
from translator.packing import Packed
from translator.tokenizer import EOS_ID

POSITIONS, CAPACITY, SOURCE_TOKENS = 15, 64, 28
HEAD_DIM = 64

BEAMS = {"greedy": 1, "beam 4": 4}

Attend = Callable[[str], Tensor]
Search = Callable[[], int]  # translates every sentence; returns the number of target tokens
FindSearches = Callable[[Shape, int, Tensor, int], dict[str, Search]]


def kernels(sentences: int, beams: int, heads: int, dtype: torch.dtype) -> dict[str, tuple[Attend, float]]:
    """Return self- and cross-attention of one layer and step, each with the bytes that it must move."""
    rows = sentences * beams
    q = torch.randn(rows, heads, HEAD_DIM, device=DEVICE).to(dtype)
    cache = torch.randn(2, CAPACITY, rows, heads, HEAD_DIM, device=DEVICE).to(dtype)
    length = torch.tensor([POSITIONS], dtype=torch.int32, device=DEVICE)
    first = torch.arange(rows, device=DEVICE)[:, None] // beams * beams  # a history uses the slots of its sentence
    ancestry = (first + torch.randint(beams, (rows, CAPACITY), device=DEVICE)).int()
    lengths = torch.full((sentences,), SOURCE_TOKENS, dtype=torch.int32, device=DEVICE)
    starts = (lengths.cumsum(0) - lengths).int()
    memory = torch.randn(sentences * SOURCE_TOKENS, 2, heads, HEAD_DIM, device=DEVICE).to(dtype)
    keys, values = memory.unbind(1)
    row_bytes = heads * HEAD_DIM * q.element_size()
    return {
        "self": (
            lambda backend: decode_attention(q, cache[0], cache[1], length, ancestry, backend=backend),
            rows * (2 + 2 * POSITIONS) * row_bytes,
        ),
        "cross": (
            lambda backend: decode_cross_attention(q, keys, values, starts, lengths, SOURCE_TOKENS, backend=backend),
            (2 * rows + 2 * sentences * SOURCE_TOKENS) * row_bytes,
        ),
    }


def measure_kernels(grid: list[tuple[int, int]], heads: int, facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row per kernel and size (sentences, beams)."""
    for sentences, beams in grid:
        for name, (attend, moved) in kernels(sentences, beams, heads, torch.bfloat16).items():
            row = {"what": f"{name} attention, {sentences} sentences, beam {beams}"}
            yield row | _kernel_columns(partial(attend, "triton"), partial(attend, "reference"), moved, facts)


def _kernel_columns(
    ours: Callable[[], object], plain: Callable[[], object], moved: float, facts: dict[str, Any]
) -> dict[str, Any]:
    """Return the columns of a kernel that must move this many bytes, or its failure."""
    predicted = predicted_seconds(Work(moved), facts)
    try:
        seconds = median_time(as_graph(ours))
        speedup = median_time(as_graph(plain)) / seconds
    except RuntimeError as error:
        return failure(error)
    limit = fraction_of_limit(moved, seconds, facts.get("copy_bytes_s"))
    columns = {"us": seconds * 1e6, "predicted us": predicted * 1e6, "of bandwidth limit": limit}
    return columns | {"speedup over torch": speedup}


def measure_top_tokens(grid: list[tuple[int, int]], vocab_size: int, facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row per size; a search needs one token more than it has beams."""
    for sentences, beams in grid:
        logits = torch.randn(sentences * beams, vocab_size, device=DEVICE)

        def plain(logits: Tensor = logits, count: int = beams + 1) -> Tensor:
            return logits.log_softmax(dim=1).topk(count, dim=1).indices

        ours = partial(triton_top_tokens, logits, beams + 1, 2)
        row = {"what": f"top tokens, {sentences} sentences, beam {beams}"}
        yield row | _kernel_columns(ours, plain, logits.nbytes, facts)


class NeverEnding:
    """A `Decodable` without end of sentence: every text reaches its maximum length."""

    def __init__(self, model: EncoderDecoder | StaticDecoder) -> None:
        self.model = model

    def start(self, source: Packed) -> Any:
        return self.model.start(source)

    def step(self, tokens: Tensor, state: Any) -> Tensor:
        logits = self.model.step(tokens, state)
        logits[:, EOS_ID] = -1e4
        return logits

    def reorder(self, state: Any, rows: Tensor, sentences: Sequence[int] | None = None) -> Any:
        return self.model.reorder(state, rows, sentences)


def our_searches(shape: Shape, vocab_size: int, source: Tensor, length: int) -> dict[str, Search]:
    """Return greedy search and a beam of 4, with static memory and with growing caches."""
    model = our_model(shape, vocab_size).to(DEVICE, torch.bfloat16 if HAS_GPU else torch.float32).eval()
    requests = [Request(tuple(ids[:-1]), length) for ids in source.tolist()]

    def translate(decodable: EncoderDecoder | StaticDecoder, beams: int) -> int:
        options = DecodingOptions(beam_size=beams, length_penalty=0.0)
        found = search(NeverEnding(decodable), requests, options, torch.device(DEVICE))
        return sum(len(candidates[0].tokens) for candidates in found)

    ways = {"ours": StaticDecoder(model), "ours, growing caches": model}
    return {
        f"{name}, {label}": partial(translate, decodable, beams)
        for name, decodable in ways.items()
        for label, beams in BEAMS.items()
    }


def baseline_searches(shape: Shape, vocab_size: int, source: Tensor, length: int) -> dict[str, Search]:
    """Return greedy search and a beam of 4 of the toolkits that are installed."""
    models: dict[str, baseline_models.Marian | baseline_models.CTranslate2] = {}
    if baseline_models.is_installed("transformers"):
        marian = baseline_models.Marian(shape, vocab_size, dropout=0.0).eval()
        models["Hugging Face generate"] = marian.to(DEVICE, torch.bfloat16 if HAS_GPU else torch.float32)
    if baseline_models.is_installed("ctranslate2"):
        try:
            models["CTranslate2"] = baseline_models.CTranslate2(
                shape, vocab_size, DEVICE, "float16" if DEVICE == "cuda" else "float32"
            )
        except RuntimeError as error:  # it needs other versions of the CUDA libraries than torch
            baseline_models.print_skipped("CTranslate2", error)
    return {
        f"{name}, {label}": partial(model.translate, source, length, beams)
        for name, model in models.items()
        for label, beams in BEAMS.items()
    }


def measure_searches(
    sentences: int, length: int, shape: Shape, vocab_size: int, find: FindSearches
) -> Iterator[dict[str, Any]]:
    """Yield one row per search. All translate the same random sentences of one length to one length: no padding."""
    torch.manual_seed(1)
    source = torch.randint(4, vocab_size, (sentences, SOURCE_TOKENS), device=DEVICE)
    source[:, -1] = EOS_ID
    searches = find(shape, vocab_size, source, length)
    for name, translate in searches.items():
        try:
            tokens = translate()
            seconds = median_time(translate, repeats=5, warm_up=2)
        except RuntimeError as error:
            if name.startswith("ours"):
                yield {"what": f"{name}, {sentences} sentences"} | failure(error)
            else:
                baseline_models.print_skipped(name, error)
            continue
        assert tokens == sentences * length, f"{name} made {tokens} tokens instead of {sentences} times {length}"
        row = {"what": f"{name}, {sentences} sentences", "ms": seconds * 1e3, "target tokens/s": tokens / seconds}
        yield row | {"predicted tokens/s": PREDICTED_SEARCH_RATES.get(name)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--ours", action="store_true", help="skip the baselines")
    which.add_argument("--peers", action="store_true", help="measure the baselines alone")
    options = parse_gpu_options(parser)
    facts = card()
    table = Table("decoding", facts, options.json)
    grid, heads, vocab_size = [(1, 1), (1, 4), (32, 4), (256, 4), (1024, 1)], 8, 32_000
    sentences, length, shape = 256, 27, SHAPES["base"]
    if options.rehearse:
        grid, heads, vocab_size = [(1, 2)], 1, 50
        sentences, length, shape = 2, 3, Shape(32, 32, 1, 2)
    if not options.peers:
        table.add(measure_kernels(grid, heads, facts))
        table.add(measure_top_tokens(grid, vocab_size, facts))
        table.add(measure_searches(sentences, length, shape, vocab_size, our_searches))
    if not options.ours:
        table.add(measure_searches(sentences, length, shape, vocab_size, baseline_searches))
    table.finish()


if __name__ == "__main__":
    main()
