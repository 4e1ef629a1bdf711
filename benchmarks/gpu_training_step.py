"""How many target tokens a second does a training step learn from on a GPU, beside padded ones in bfloat16?

The whole step is measured: forward, backward, clipping and AdamW on float32 weights, products in bfloat16, dropout 0.1,
32k pieces, sentences with the lengths of a general corpus. Ours runs on batches of exact sizes: as Python launches it,
compiled, compiled in CUDA graphs forward and backward (which is `training.cuda_graphs`), and all of it in one CUDA
graph. The peers get batches sorted by length and padded (see training_step.py): `torch.nn.Transformer`, compiled, and
Hugging Face's Marian, as Python launches it and compiled, where `transformers` is installed. Only real target tokens
count.

    python benchmarks/gpu_training_step.py --size base --tokens 25000 --json results.json
    python benchmarks/gpu_training_step.py --size small --ours   # where the host is slower than the GPU
    python benchmarks/gpu_training_step.py --rehearse   # any machine: tiny, and without a GPU not compiled

A row for each contestant: milliseconds, target tokens per second, and the model FLOP utilization, which is the share
of this card's rate of matrix products that the FLOP of the mathematics alone would take.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported

import peers
import training_step
from measuring import DEVICE, HAS_GPU, card, failure, median_time, report, share
from torch import Tensor, nn
from training_step import (
    LABEL_SMOOTHING,
    PackedBatch,
    PaddedBatch,
    PaddedTransformer,
    Pair,
    packed_batches,
    padded_batches,
)

from translator.config import ModelConfig, TrainingConfig
from translator.model import EncoderDecoder, build_model
from translator.packing import Packed
from translator.training.backward import Backward
from translator.training.optimizer import scale_and_clip


@dataclass(frozen=True)
class Size:
    """A model, and what it learns from.

    Attributes:
        mflop: a target token, with its source token, forward and backward.
        pieces: of the vocabulary.
        tokens: target tokens of a batch.
        lengths: of the sentences, see training_step.py.
    """

    d_model: int
    d_ff: int
    layers: int
    heads: int
    mflop: float
    pieces: int = 32_000
    tokens: int = 25_000
    lengths: str = "general"

    @property
    def shape(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("d_model", "d_ff", "layers", "heads")}


SIZES = {
    "small": Size(192, 512, 4, 4, mflop=25, pieces=4000, tokens=1024, lengths="multi30k"),  # as configs/multi30k.yaml
    "base": Size(512, 2048, 6, 8, mflop=366),
    "big": Size(1024, 4096, 6, 16, mflop=1260),
    "rehearsal": Size(32, 32, 1, 2, mflop=1, pieces=100, tokens=300),
}
DROPOUT = 0.1
IGNORE_INDEX = -100
NUM_BATCHES = 8  # in turn

Step = Callable[[], object]
Contestant = Callable[[], Step]  # makes the model, whose memory goes with the step


def to_exact_size(
    batch: PackedBatch, source_tokens: int, target_tokens: int, sequences: int, longest: int
) -> PackedBatch:
    """The batch with filler that belongs to no sequence, so that all have one shape."""

    def filled(packed: Packed, tokens: int) -> Packed:
        filler = packed.values.new_full((tokens - len(packed.values),), 2)
        ends = packed.cu_seqlens[-1].expand(sequences - packed.num_sequences)
        return Packed(torch.cat([packed.values, filler]), torch.cat([packed.cu_seqlens, ends]), longest).to(DEVICE)

    labels = torch.cat([batch.labels, batch.labels.new_full((target_tokens - len(batch.labels),), IGNORE_INDEX)])
    return PackedBatch(
        filled(batch.source, source_tokens), filled(batch.target_input, target_tokens), labels.to(DEVICE)
    )


def exact_batches(pairs: list[Pair], tokens: int) -> list[PackedBatch]:
    """Batches of up to `tokens` target tokens, filled up to the sizes of the largest."""
    batches = packed_batches(pairs, tokens)[:NUM_BATCHES]
    source_tokens = max(len(batch.source.values) for batch in batches)
    sequences = max(batch.source.num_sequences for batch in batches)
    longest = max(max(batch.source.max_seqlen, batch.target_input.max_seqlen) for batch in batches)
    return [to_exact_size(batch, source_tokens, tokens, sequences, longest) for batch in batches]


def our_model(size: str) -> EncoderDecoder:
    shape = SIZES[size]
    config = ModelConfig(
        d_model=shape.d_model,
        d_ff=shape.d_ff,
        encoder_layers=shape.layers,
        decoder_layers=shape.layers,
        encoder_heads=shape.heads,
        decoder_heads=shape.heads,
        dropout=DROPOUT,
        attention_dropout=DROPOUT,
    )
    pieces = training_step.VOCAB_SIZE
    return build_model(config, pieces, pieces, LABEL_SMOOTHING).to(DEVICE).train()


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    """It keeps its state on the device, so that a CUDA graph can hold its step."""
    options = {"lr": 1e-4, "betas": (0.9, 0.98), "eps": 1e-9, "fused": True}
    return torch.optim.AdamW(model.parameters(), **options, capturable=HAS_GPU)


def learn(
    model: nn.Module, loss: Callable[[Any], tuple[Tensor, Any]], optimizer: torch.optim.Optimizer, batch: Any
) -> None:
    """One step, nothing of which waits for the device."""
    with torch.autocast(DEVICE, torch.bfloat16, enabled=HAS_GPU):
        total, count = loss(batch)
    (total / count).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def ours(size: str, batches: list[PackedBatch], is_compiled: bool) -> Step:
    model = our_model(size)
    optimizer = optimizer_of(model)
    loss = torch.compile(model.loss, fullgraph=True, dynamic=False) if is_compiled else model.loss
    coming: Iterator[PackedBatch] = cycle(batches)
    return lambda: learn(model, loss, optimizer, next(coming))


def ours_in_graphs(size: str, batches: list[PackedBatch]) -> Step:
    """The trainer's step with `training.cuda_graphs`; without a GPU nothing is compiled."""
    model = our_model(size)
    optimizer = optimizer_of(model)
    precision = "bfloat16" if HAS_GPU else "float32"
    options = TrainingConfig(compile=HAS_GPU, cuda_graphs=HAS_GPU, precision=precision)
    backward = Backward(model, options, static_shapes=True)
    coming = cycle(batches)

    def step() -> None:
        _, count = backward(next(coming), number=0)
        scale_and_clip([parameter.grad for parameter in model.parameters()], 1 / count, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours_in_one_graph(size: str, batches: list[PackedBatch]) -> Step:
    """The compiled step captured once; each replay takes the batch that was copied into the captured one's place."""
    model = our_model(size)
    optimizer = optimizer_of(model)
    loss = torch.compile(model.loss, fullgraph=True, dynamic=False)
    place = to_exact_size(batches[0], *_sizes(batches[0]))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            learn(model, loss, optimizer, place)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        learn(model, loss, optimizer, place)
    coming = cycle(batches)

    def step() -> None:
        batch = next(coming)
        for there, here in zip(_tensors(place), _tensors(batch), strict=True):
            there.copy_(here)
        graph.replay()

    return step


def _tensors(batch: PackedBatch) -> tuple[Tensor, ...]:
    sides = (batch.source, batch.target_input)
    return (*(x for side in sides for x in (side.values, side.cu_seqlens)), batch.labels)


def _sizes(batch: PackedBatch) -> tuple[int, int, int, int]:
    target = batch.target_input
    return len(batch.source.values), len(target.values), target.num_sequences, target.max_seqlen


def peer(model: nn.Module, batches: list[PaddedBatch], is_compiled: bool) -> Step:
    """The padded step of a model; shapes change from batch to batch."""
    model.to(DEVICE).train()
    loss = torch.compile(model.loss, dynamic=True) if is_compiled else model.loss
    optimizer = optimizer_of(model)
    on_device = [
        PaddedBatch(**{name: x if x is None else x.to(DEVICE) for name, x in vars(batch).items()}) for batch in batches
    ]
    coming = cycle(on_device)
    return lambda: learn(model, loss, optimizer, next(coming))


def their_contestants(size: str, batches: list[PaddedBatch]) -> dict[str, Contestant]:
    shape = SIZES[size].shape | {"dropout": DROPOUT}

    def plain() -> Step:
        return peer(PaddedTransformer(**shape, norm_first=True), batches, is_compiled=HAS_GPU)

    def marian(is_compiled: bool) -> Step:
        return peer(peers.Marian(**shape, pieces=training_step.VOCAB_SIZE), batches, is_compiled and HAS_GPU)

    contestants: dict[str, Contestant] = {"padded nn.Transformer, compiled": plain}
    if peers.is_here("transformers"):
        contestants["padded Hugging Face Marian"] = partial(marian, False)
        contestants["padded Hugging Face Marian, compiled"] = partial(marian, True)
    return contestants


def our_contestants(size: str, batches: list[PackedBatch]) -> dict[str, Contestant]:
    contestants: dict[str, Contestant] = {
        "ours": partial(ours, size, batches, is_compiled=False),
        "ours, CUDA graphs": partial(ours_in_graphs, size, batches),
    }
    if HAS_GPU:
        contestants["ours, compiled"] = partial(ours, size, batches, is_compiled=True)
        contestants["ours, compiled, one graph"] = partial(ours_in_one_graph, size, batches)
    return contestants


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--tokens", type=int, help="target tokens of a batch (default: those of the size)")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--json", type=Path, help="where to write the table")
    options = parser.parse_args()
    if not (options.rehearse or HAS_GPU):
        parser.error("a CUDA device is required. Received: none. Use --rehearse to see the script run without one.")
    name = "rehearsal" if options.rehearse else options.size
    size = SIZES[name]
    tokens = options.tokens or size.tokens
    training_step.VOCAB_SIZE = size.pieces  # the peers' too
    torch.manual_seed(1)
    facts = card()
    median_length = math.exp(training_step.LENGTHS[size.lengths][0])
    pairs = training_step.sentence_pairs(size.lengths, int(NUM_BATCHES * tokens / median_length))
    padded, packed = padded_batches(pairs, tokens)[:NUM_BATCHES], exact_batches(pairs, tokens)
    padded_tokens = sum(len(batch.labels) for batch in padded) / len(padded)
    packed_tokens = sum(int((batch.labels != IGNORE_INDEX).sum()) for batch in packed) / len(packed)
    theirs = {} if options.ours else their_contestants(name, padded)
    contestants = {title: (make, packed_tokens) for title, make in our_contestants(name, packed).items()}
    contestants |= {title: (make, padded_tokens) for title, make in theirs.items()}
    rows: list[dict[str, Any]] = []
    for contestant, (make, real_tokens) in contestants.items():
        try:
            seconds = median_time(make(), repeats=2 * NUM_BATCHES, warm_up=NUM_BATCHES + 2)
        except RuntimeError as error:
            if contestant in theirs:
                peers.leave_out(contestant, error)
            else:
                rows.append({"contestant": contestant} | failure(error))
            continue
        rate = real_tokens / seconds
        utilization = share(real_tokens * size.mflop * 1e6, seconds, facts.get("flop_s"))
        rows.append({"contestant": contestant, "ms": seconds * 1e3, "target tokens/s": rate, "MFU": utilization})
    report(f"training step, {name}, {tokens} target tokens", facts, rows, options.json)


if __name__ == "__main__":
    main()
