"""How fast is decoding on a GPU: its kernels against the bytes they must read, and whole searches.

The kernels attend for one step of `sentences * beams` rows, 15 positions and 28 source tokens each on average, in
bfloat16, and find the likeliest tokens of as many rows of float32 logits; in a CUDA graph, beside the same in plain
torch. The searches translate random sentences with a base model
of random weights to a fixed length, greedily and with a beam of 4: ours in bfloat16, in static memory and with growing
caches; Hugging Face's `generate` of a Marian model in bfloat16, and CTranslate2 in float16, where they are installed.

    python benchmarks/gpu_decoding.py --json results.json
    python benchmarks/gpu_decoding.py --rehearse      # any machine: tiny

A row for each kernel and size: microseconds, the share of the byte floor at the rate at which this card copies, and how
many times as fast as plain torch; then a row for each search: milliseconds and target tokens per second.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported

import peers
from measuring import DEVICE, HAS_GPU, as_graph, card, failure, median_time, report, share
from torch import Tensor
from training_step import SIZES

from translator.config import ModelConfig
from translator.decoding.beam import beam_search
from translator.decoding.search import greedy
from translator.kernels import decode_attention, decode_cross_attention
from translator.kernels.triton_top_tokens import triton_top_tokens
from translator.model import EncoderDecoder, build_model
from translator.model.static_decoding import StaticDecoder
from translator.packing import Packed
from translator.tokenizer import EOS_ID

POSITIONS, ROOM, SOURCE_TOKENS = 15, 64, 28
HEAD_DIM = 64

BEAMS = {"greedy": 1, "beam 4": 4}

Attend = Callable[[str], Tensor]
Search = Callable[[], int]  # translates every sentence; gives the number of target tokens


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


def measure_top_tokens(grid: list[tuple[int, int]], pieces: int, copy_rate: float | None) -> list[dict[str, Any]]:
    """The tokens that a search looks at, one more than it has beams."""
    rows = []
    for sentences, beams in grid:
        logits = torch.randn(sentences * beams, pieces, device=DEVICE)

        def plain(logits: Tensor = logits, count: int = beams + 1) -> Tensor:
            return logits.log_softmax(dim=1).topk(count, dim=1).indices

        ours = median_time(as_graph(partial(triton_top_tokens, logits, beams + 1, 2)))
        row = {"what": f"top tokens, {sentences} sentences, beam {beams}", "us": ours * 1e6}
        share_of_floor = share(logits.nbytes, ours, copy_rate)
        rows.append({**row, "of floor": share_of_floor, "of plain torch": median_time(as_graph(plain)) / ours})
    return rows


class Unending:
    """A `Decodable` that ends no text, so that all of them reach the length they may have, whatever the weights say."""

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


def our_searches(shape: dict[str, int], pieces: int, source: Tensor, length: int) -> dict[str, Search]:
    """Greedy search and a beam of 4, in static memory and with growing caches."""
    config = ModelConfig(
        d_model=shape["d_model"],
        d_ff=shape["d_ff"],
        encoder_layers=shape["layers"],
        decoder_layers=shape["layers"],
        encoder_heads=shape["heads"],
        decoder_heads=shape["heads"],
    )
    model = build_model(config, pieces, pieces).to(DEVICE, torch.bfloat16 if HAS_GPU else torch.float32).eval()
    sentences, limits = Packed.from_sequences(list(source.cpu())).to(DEVICE), [length] * len(source)

    def search(decodable: EncoderDecoder | StaticDecoder, beams: int) -> int:
        options = {"max_lengths": limits} | ({"beam_size": beams} if beams > 1 else {})
        found = (beam_search if beams > 1 else greedy)(Unending(decodable), sentences, **options)
        return sum(len(candidates[0].tokens) for candidates in found)

    ways = {"ours": StaticDecoder(model), "ours, growing caches": model}
    return {
        f"{name}, {label}": partial(search, decodable, beams)
        for name, decodable in ways.items()
        for label, beams in BEAMS.items()
    }


def peer_searches(shape: dict[str, int], pieces: int, source: Tensor, length: int) -> dict[str, Search]:
    """Those whose packages are installed, by greedy search and with a beam of 4."""
    models: dict[str, peers.Marian | peers.CTranslate2] = {}
    if peers.is_here("transformers"):
        marian = peers.Marian(**shape, dropout=0.0, pieces=pieces).eval()
        models["Hugging Face generate"] = marian.to(DEVICE, torch.bfloat16 if HAS_GPU else torch.float32)
    if peers.is_here("ctranslate2"):
        try:
            models["CTranslate2"] = peers.CTranslate2(**shape, pieces=pieces, device=DEVICE)
        except RuntimeError as error:  # its CUDA libraries are other versions than torch's, and may be missing
            peers.leave_out("CTranslate2", error)
    return {
        f"{name}, {label}": partial(model.translate, source, length, beams)
        for name, model in models.items()
        for label, beams in BEAMS.items()
    }


def measure_searches(sentences: int, length: int, shape: dict[str, int], pieces: int) -> list[dict[str, Any]]:
    """All translate the same random sentences of one length to one length; nobody has anything to pad."""
    torch.manual_seed(1)
    source = torch.randint(4, pieces, (sentences, SOURCE_TOKENS), device=DEVICE)
    source[:, -1] = EOS_ID
    rows: list[dict[str, Any]] = []
    searches = our_searches(shape, pieces, source, length) | peer_searches(shape, pieces, source, length)
    for name, search in searches.items():
        try:
            tokens = search()
            seconds = median_time(search, repeats=5, warm_up=2)
        except RuntimeError as error:
            if name.startswith("ours"):
                rows.append({"what": f"{name}, {sentences} sentences"} | failure(error))
            else:
                peers.leave_out(name, error)
            continue
        assert tokens == sentences * length, f"{name} made {tokens} tokens instead of {sentences} times {length}"
        row = {"what": f"{name}, {sentences} sentences", "ms": seconds * 1e3, "target tokens/s": tokens / seconds}
        rows.append(row)
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
        small = {"d_model": 32, "d_ff": 32, "layers": 1, "heads": 2}
        rows = measure_kernels([(1, 2)], 1, facts.get("copy_bytes_s"))
        rows += measure_top_tokens([(1, 2)], 50, facts.get("copy_bytes_s")) + measure_searches(2, 3, small, 50)
    else:
        grid = [(1, 1), (1, 4), (32, 4), (256, 4), (1024, 1)]
        rows = measure_kernels(grid, 8, facts.get("copy_bytes_s"))
        rows += measure_top_tokens(grid, 32_000, facts.get("copy_bytes_s"))
        rows += measure_searches(256, 27, SIZES["base"], 32_000)
    report("decoding", facts, rows, options.json)


if __name__ == "__main__":
    main()
