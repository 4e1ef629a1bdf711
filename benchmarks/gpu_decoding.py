"""How fast is decoding on a GPU: its attention kernels against the bytes they must read, and whole searches.

The kernels attend for one step of `sentences * beams` rows, 15 positions and 28 source tokens each on average, in
bfloat16 and in a CUDA graph, beside the same in plain torch. The searches translate random sentences with a base model
of random weights in bfloat16 to a fixed length, in static memory and with growing caches.

    python benchmarks/gpu_decoding.py --json results.json
    python benchmarks/gpu_decoding.py --rehearse      # any machine: tiny

A row for each kernel and size: microseconds, the share of the byte floor at the rate at which this card copies, and how
many times as fast as plain torch; then a row for each search: milliseconds and target tokens per second.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported

from measuring import DEVICE, HAS_GPU, as_graph, card, median_time, report, share
from torch import Tensor

from translator.config import ModelConfig
from translator.decoding.beam import beam_search
from translator.decoding.search import greedy
from translator.kernels import decode_attention, decode_cross_attention
from translator.model import build_model
from translator.model.static_decoding import StaticDecoder
from translator.packing import Packed

POSITIONS, ROOM, SOURCE_TOKENS = 15, 64, 28
HEAD_DIM = 64

Attend = Callable[[str], Tensor]


def kernels(sentences: int, beams: int, heads: int, dtype: torch.dtype) -> dict[str, tuple[Attend, float]]:
    """Both attentions of one layer and step, each with the bytes that it must move."""
    rows = sentences * beams
    q = torch.randn(rows, heads, HEAD_DIM, device=DEVICE).to(dtype)
    cache = torch.randn(2, ROOM, rows, heads, HEAD_DIM, device=DEVICE).to(dtype)
    length = torch.tensor([POSITIONS], dtype=torch.int32, device=DEVICE)
    first = torch.arange(rows, device=DEVICE)[:, None] // beams * beams  # a history lies in its sentence's slots
    ancestry = (first + torch.randint(beams, (rows, ROOM), device=DEVICE)).int()
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


def measure_kernels(grid: list[tuple[int, int]], heads: int, copy_rate: float | None) -> list[dict[str, Any]]:
    rows = []
    for sentences, beams in grid:
        for name, (attend, moved) in kernels(sentences, beams, heads, torch.bfloat16).items():
            ours = median_time(as_graph(lambda attend=attend: attend("triton")))
            plain = median_time(as_graph(lambda attend=attend: attend("reference")))
            row = {"what": f"{name} attention, {sentences} sentences, beam {beams}", "us": ours * 1e6}
            rows.append({**row, "of floor": share(moved, ours, copy_rate), "of plain torch": plain / ours})
    return rows


def measure_searches(sentences: int, length: int, config: ModelConfig, pieces: int) -> list[dict[str, Any]]:
    """Greedy and beam search; random weights seldom end a sentence, so that nearly all reach the length."""
    torch.manual_seed(1)
    model = build_model(config, pieces, pieces).to(DEVICE, torch.bfloat16 if HAS_GPU else torch.float32).eval()
    steps = StaticDecoder(model)
    source = Packed.from_sequences([torch.randint(4, pieces, (SOURCE_TOKENS,)) for _ in range(sentences)]).to(DEVICE)
    limits = [length] * sentences
    rows = []
    for name, search in (
        ("greedy, growing caches", lambda: greedy(model, source, max_lengths=limits)),
        ("greedy", lambda: greedy(steps, source, max_lengths=limits)),
        ("beam 4, growing caches", lambda: beam_search(model, source, max_lengths=limits, beam_size=4)),
        ("beam 4", lambda: beam_search(steps, source, max_lengths=limits, beam_size=4)),
    ):
        found = search()
        seconds = median_time(search, repeats=5, warm_up=2)
        tokens = sum(len(candidates[0].tokens) + candidates[0].is_finished for candidates in found)
        rows.append(
            {"what": f"{name}, {sentences} sentences", "ms": seconds * 1e3, "target tokens/s": tokens / seconds}
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--json", type=Path, help="where to write the table")
    options = parser.parse_args()
    if not (options.rehearse or HAS_GPU):
        parser.error("a CUDA device is required. Received: none. Use --rehearse to see the script run without one.")
    facts = card()
    if options.rehearse:
        small = {"d_model": 32, "d_ff": 32, "encoder_layers": 1, "decoder_layers": 1}
        config = ModelConfig(**small, encoder_heads=2, decoder_heads=2)
        rows = measure_kernels([(1, 2)], 1, facts.get("copy_bytes_s")) + measure_searches(2, 3, config, 50)
    else:
        grid = [(1, 1), (1, 4), (32, 4), (256, 4), (1024, 1)]
        rows = measure_kernels(grid, 8, facts.get("copy_bytes_s")) + measure_searches(256, 27, ModelConfig(), 32_000)
    report("decoding", facts, rows, options.json)


if __name__ == "__main__":
    main()
