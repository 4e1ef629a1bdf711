"""Training step on a GPU against padded baselines in bfloat16: target tokens per second.

The whole step is measured: forward, backward, clipping and AdamW on float32 weights, products in bfloat16, dropout 0.1,
a vocabulary of 32,000, sentences with the lengths of a general corpus. Ours runs on batches of fixed sizes: in eager
mode, compiled, compiled with CUDA graphs forward and backward (`training.cuda_graphs`), and with one CUDA graph for the
whole step. The baselines run on padded batches sorted by length (workload.py): `torch.nn.Transformer`, compiled, and
Hugging Face's Marian, in eager mode and compiled, if `transformers` is installed. Only real target tokens count.

    python benchmarks/gpu_training_step.py --size base --tokens 25000 --json results.json
    python benchmarks/gpu_training_step.py --size small --ours   # the host is slower than the GPU
    python benchmarks/gpu_training_step.py --rehearse   # smoke test on any machine, not compiled without a GPU

Output: one row per implementation with milliseconds, measured and predicted (roofline.py), target tokens per second,
and the model FLOP utilization: the fraction of the GPU's measured rate of matrix products that the mathematics alone
would need.
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
    os.environ["TRITON_INTERPRET"] = "1"  # must be set before triton is imported

import baseline_models
from measuring import DEVICE, HAS_GPU, Table, card, failure, fraction_of_limit, median_time, parse_gpu_options
from roofline import PREDICTED_UTILIZATION, predicted_step
from torch import Tensor, nn
from workload import (
    LENGTHS,
    PackedBatch,
    PaddedBatch,
    PaddedTransformer,
    Pair,
    Shape,
    our_model,
    packed_batches,
    padded_batches,
    seeded_loss,
    sentence_pairs,
)

from translator.config import TrainingConfig
from translator.model import EncoderDecoder
from translator.packing import Packed
from translator.training.forward_backward import ForwardBackward
from translator.training.parallel import scale_and_clip


@dataclass(frozen=True)
class Size:
    """A model and its batches.

    Attributes:
        shape: size of the model.
        mflop: MFLOP per target token and its source token, forward and backward.
        vocab_size: size of the vocabulary.
        tokens: target tokens per batch.
        lengths: distribution of sentence lengths (workload.py).
    """

    shape: Shape
    mflop: float
    vocab_size: int = 32_000
    tokens: int = 25_000
    lengths: str = "general"


SIZES = {
    "small": Size(Shape(192, 512, 4, 4), mflop=25, vocab_size=4000, tokens=1024, lengths="multi30k"),  # as Multi30k's
    "base": Size(Shape(512, 2048, 6, 8), mflop=366),
    "big": Size(Shape(1024, 4096, 6, 16), mflop=1260),
    "smoke test": Size(Shape(32, 32, 1, 2), mflop=1, vocab_size=100, tokens=300),
}
DROPOUT = 0.1
IGNORE_INDEX = -100
NUM_BATCHES = 8  # used in rotation

Step = Callable[[], object]
MakeStep = Callable[[], Step]  # builds the model; its memory is freed with the step


def to_exact_size(
    batch: PackedBatch, source_tokens: int, target_tokens: int, sequences: int, longest: int
) -> PackedBatch:
    """Return the batch with trailing padding that belongs to no sequence, so that all batches have one shape."""

    def filled(packed: Packed, tokens: int) -> Packed:
        padding = packed.values.new_full((tokens - len(packed.values),), 2)
        ends = packed.cu_seqlens[-1].expand(sequences - packed.num_sequences)
        return Packed(torch.cat([packed.values, padding]), torch.cat([packed.cu_seqlens, ends]), longest).to(DEVICE)

    labels = torch.cat([batch.labels, batch.labels.new_full((target_tokens - len(batch.labels),), IGNORE_INDEX)])
    return PackedBatch(
        filled(batch.source, source_tokens), filled(batch.target_input, target_tokens), labels.to(DEVICE)
    )


def exact_batches(pairs: list[Pair], tokens: int) -> list[PackedBatch]:
    """Return batches of up to `tokens` target tokens, padded at the end to the sizes of the largest."""
    batches = packed_batches(pairs, tokens)[:NUM_BATCHES]
    source_tokens = max(len(batch.source.values) for batch in batches)
    sequences = max(batch.source.num_sequences for batch in batches)
    longest = max(max(batch.source.max_seqlen, batch.target_input.max_seqlen) for batch in batches)
    return [to_exact_size(batch, source_tokens, tokens, sequences, longest) for batch in batches]


def model_of(size: Size) -> EncoderDecoder:
    """Return our model on the device, in training mode."""
    return our_model(size.shape, size.vocab_size, DROPOUT, attention_dropout=DROPOUT).to(DEVICE).train()


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    """Return AdamW with its state on the device, so that a CUDA graph can capture its step."""
    options = {"lr": 1e-4, "betas": (0.9, 0.98), "eps": 1e-9, "fused": True}
    return torch.optim.AdamW(model.parameters(), **options, capturable=HAS_GPU)


def learn(
    model: nn.Module, loss: Callable[[Any], tuple[Tensor, Any]], optimizer: torch.optim.Optimizer, batch: Any
) -> None:
    """Run one step, without synchronizing with the device."""
    with torch.autocast(DEVICE, torch.bfloat16, enabled=HAS_GPU):
        total, count = loss(batch)
    (total / count).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def ours(size: Size, batches: list[PackedBatch], is_compiled: bool) -> Step:
    """Return the step in eager mode or compiled."""
    model = model_of(size)
    optimizer = optimizer_of(model)
    loss = torch.compile(model.loss, fullgraph=True, dynamic=False) if is_compiled else model.loss
    loss = seeded_loss(loss, DEVICE)
    coming: Iterator[PackedBatch] = cycle(batches)
    return lambda: learn(model, loss, optimizer, next(coming))


def ours_in_graphs(size: Size, batches: list[PackedBatch]) -> Step:
    """Return the trainer's step with `training.cuda_graphs`; not compiled without a GPU."""
    model = model_of(size)
    optimizer = optimizer_of(model)
    dtype = torch.bfloat16 if HAS_GPU else torch.float32
    options = TrainingConfig(compile=HAS_GPU, cuda_graphs=HAS_GPU)
    backward = ForwardBackward(model, options, dtype, static_shapes=True)
    seeds = torch.arange(batches[0].source.num_sequences, device=DEVICE)
    coming = cycle(batches)

    def step() -> None:
        _, count = backward(next(coming), number=0, seeds=seeds)
        scale_and_clip([parameter.grad for parameter in model.parameters()], 1 / count, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours_in_one_graph(size: Size, batches: list[PackedBatch]) -> Step:
    """Return the compiled step as one CUDA graph. Before each replay the batch is copied into the captured one."""
    model = model_of(size)
    optimizer = optimizer_of(model)
    loss = seeded_loss(torch.compile(model.loss, fullgraph=True, dynamic=False), DEVICE)
    captured = to_exact_size(batches[0], *_sizes(batches[0]))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            learn(model, loss, optimizer, captured)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        learn(model, loss, optimizer, captured)
    coming = cycle(batches)

    def step() -> None:
        batch = next(coming)
        for to_tensor, from_tensor in zip(_tensors(captured), _tensors(batch), strict=True):
            to_tensor.copy_(from_tensor)
        graph.replay()

    return step


def _tensors(batch: PackedBatch) -> tuple[Tensor, ...]:
    sides = (batch.source, batch.target_input)
    return (*(x for side in sides for x in (side.values, side.cu_seqlens)), batch.labels)


def _sizes(batch: PackedBatch) -> tuple[int, int, int, int]:
    target = batch.target_input
    return len(batch.source.values), len(target.values), target.num_sequences, target.max_seqlen


def baseline(model: nn.Module, batches: list[PaddedBatch], is_compiled: bool) -> Step:
    """Return the padded step of a model; shapes change from batch to batch."""
    model.to(DEVICE).train()
    loss = torch.compile(model.loss, dynamic=True) if is_compiled else model.loss
    optimizer = optimizer_of(model)
    on_device = [
        PaddedBatch(**{name: x if x is None else x.to(DEVICE) for name, x in vars(batch).items()}) for batch in batches
    ]
    coming = cycle(on_device)
    return lambda: learn(model, loss, optimizer, next(coming))


def baselines(size: Size, batches: list[PaddedBatch]) -> dict[str, MakeStep]:
    """Return the baselines whose packages are installed."""

    def plain() -> Step:
        model = PaddedTransformer(size.shape, size.vocab_size, DROPOUT, pre_norm=True)
        return baseline(model, batches, is_compiled=HAS_GPU)

    def marian(is_compiled: bool) -> Step:
        model = baseline_models.Marian(size.shape, size.vocab_size, DROPOUT)
        return baseline(model, batches, is_compiled and HAS_GPU)

    found: dict[str, MakeStep] = {"padded nn.Transformer, compiled": plain}
    if baseline_models.is_installed("transformers"):
        found["padded Hugging Face Marian"] = partial(marian, False)
        found["padded Hugging Face Marian, compiled"] = partial(marian, True)
    return found


def our_implementations(size: Size, batches: list[PackedBatch], is_eager: bool) -> dict[str, MakeStep]:
    """Return the ways to run our step, the compiled one first; those that need a GPU only with one."""
    found: dict[str, MakeStep] = {}
    if HAS_GPU and not is_eager:
        found["ours, compiled"] = partial(ours, size, batches, is_compiled=True)
    found["ours"] = partial(ours, size, batches, is_compiled=False)
    if not is_eager:
        found["ours, CUDA graphs"] = partial(ours_in_graphs, size, batches)
    if HAS_GPU and not is_eager:
        found["ours, compiled, one graph"] = partial(ours_in_one_graph, size, batches)
    return found


def largest_kernels(step: Step, count: int = 15) -> Iterator[dict[str, Any]]:
    """Yield the kernels that take most of a step; without a GPU, the operators of the CPU."""
    activity = torch.profiler.ProfilerActivity.CUDA if HAS_GPU else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as profile:
        step()
        if HAS_GPU:
            torch.cuda.synchronize()
    times = {
        event.key: event.self_device_time_total if HAS_GPU else event.self_cpu_time_total
        for event in profile.key_averages()
    }
    total = sum(times.values())
    for name, time in sorted(times.items(), key=lambda item: -item[1])[:count]:
        yield {"kernel": name[:100], "us": float(time), "fraction of the step": time / total}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--tokens", type=int, help="target tokens per batch (default: depends on the size)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--ours", action="store_true", help="skip the baselines")
    which.add_argument("--peers", action="store_true", help="measure the baselines alone")
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    parser.add_argument("--kernels", type=Path, help="write the largest kernels of the first implementation here")
    options = parse_gpu_options(parser)
    name = "smoke test" if options.rehearse else options.size
    size = SIZES[name]
    tokens = options.tokens or size.tokens
    torch.manual_seed(1)
    facts = card()
    median_length = math.exp(LENGTHS[size.lengths][0])
    pairs = sentence_pairs(size.lengths, int(NUM_BATCHES * tokens / median_length), size.vocab_size)
    padded, packed = padded_batches(pairs, tokens)[:NUM_BATCHES], exact_batches(pairs, tokens)
    padded_tokens = sum(len(batch.labels) for batch in padded) / len(padded)
    packed_tokens = sum(int((batch.labels != IGNORE_INDEX).sum()) for batch in packed) / len(packed)
    theirs = {} if options.ours else baselines(size, padded)
    mine = {} if options.peers else our_implementations(size, packed, options.eager)
    implementations = {title: (make, packed_tokens) for title, make in mine.items()}
    implementations |= {title: (make, padded_tokens) for title, make in theirs.items()}
    table = Table(f"training step, {name}, {tokens} target tokens", facts, options.json)
    for title, (make, real_tokens) in implementations.items():
        try:
            step = make()
            seconds = median_time(step, repeats=2 * NUM_BATCHES, warm_up=NUM_BATCHES + 2)
        except Exception as error:  # the compiler raises errors of its own
            if title in theirs:
                baseline_models.print_skipped(title, error)
            else:
                table.add([{"implementation": title} | failure(error)])
            continue
        rate = real_tokens / seconds
        utilization = fraction_of_limit(real_tokens * size.mflop * 1e6, seconds, facts.get("flop_s"))
        row = {"implementation": title, "ms": seconds * 1e3, "target tokens/s": rate, "MFU": utilization}
        expected = PREDICTED_UTILIZATION.get((options.size, title))
        predicted = predicted_step(real_tokens * size.mflop * 1e6, expected, facts) if expected else None
        table.add([row | {"predicted ms": predicted and predicted * 1e3}])
        if options.kernels is not None and title == next(iter(implementations)):
            Table(f"largest kernels, {title}", facts, options.kernels).add(largest_kernels(step))
        del step  # frees the memory of its model
    table.finish()


if __name__ == "__main__":
    main()
