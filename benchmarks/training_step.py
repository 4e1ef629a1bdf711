"""Training step on the CPU against a padded `torch.nn.Transformer`: target tokens per second.

The baseline runs on padded batches of similar length: sentences sorted by length, key padding masks only where there is
padding, a causal flag instead of a mask, the vocabulary projected at real tokens only, tied embeddings, label
smoothing, a fused optimizer, and the same allocator and thread settings. Both implementations process the same random
sentences (workload.py).

    python benchmarks/training_step.py --size tiny --lengths multi30k --rounds 5 --steps 4

Output: one row per implementation with real target tokens per second of wall clock and per second of CPU time, which
varies less with the load of the machine. Rounds are interleaved in alternating order. Figures are medians.
"""

from __future__ import annotations

import os

# As the `translator` command does: idle threads sleep after a few microseconds. Must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "300")

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import torch
from measuring import wall_and_cpu_time
from torch import Tensor
from workload import (
    LENGTHS,
    SHAPES,
    VOCAB_SIZE,
    PaddedTransformer,
    our_model,
    packed_batches,
    padded_batches,
    seeded_loss,
    sentence_pairs,
)

from translator.training.memory import keep_freed_memory

Step = Callable[[], int]  # one optimizer step; returns its number of real target tokens

BASELINE = "baseline, pre-norm"  # measured with every `--only`


def training_step(model: Any, batches: list[Any], loss_of: Callable[[Any], tuple[Tensor, Any]]) -> Step:
    """Return the step of every implementation: loss, gradients, clipping, fused AdamW."""
    model.train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
    coming: Iterator[Any] = cycle(batches)

    def step() -> int:
        loss, count = loss_of(next(coming))
        (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return int(count)

    return step


def implementations(size: str, lengths: str, batch_tokens: int, dropout: float, num_pairs: int) -> dict[str, Step]:
    """Return the baseline in both norm orders, and ours with default dropout and with all of the baseline's."""
    shape = SHAPES[size]
    pairs = sentence_pairs(lengths, num_pairs, VOCAB_SIZE)
    packed, padded = packed_batches(pairs, batch_tokens), padded_batches(pairs, batch_tokens)
    real = sum(len(batch.labels) for batch in padded)
    padded_tokens = sum(batch.target_input.numel() for batch in padded)
    print(f"# padding in the baseline's target batches: {1 - real / padded_tokens:.1%}; in ours: none")

    def ours(inner_dropout: float) -> Step:
        model = our_model(shape, VOCAB_SIZE, dropout, inner_dropout, inner_dropout)
        return training_step(model, packed, seeded_loss(model.loss))

    def baseline(pre_norm: bool) -> Step:
        model = PaddedTransformer(shape, VOCAB_SIZE, dropout, pre_norm)
        return training_step(model, padded, model.loss)

    torch.manual_seed(1)
    return {
        BASELINE: baseline(pre_norm=True),
        "ours, residual dropout": ours(0.0),
        "baseline, post-norm": baseline(pre_norm=False),
        "ours, all dropout": ours(dropout),
    }


def measure(steps: dict[str, Step], rounds: int, steps_per_round: int) -> dict[str, list[tuple[float, float]]]:
    """Return tokens per second of wall clock and of CPU time for each round; every other round is reversed."""
    for step in steps.values():
        step()
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for number in range(rounds):
        for name in list(steps) if number % 2 == 0 else reversed(list(steps)):
            step = steps[name]
            wall, cpu, tokens = wall_and_cpu_time(lambda step=step: sum(step() for _ in range(steps_per_round)))
            rates[name].append((tokens / wall, tokens / cpu))
    return rates


def report(rates: dict[str, list[tuple[float, float]]]) -> None:
    """Print one row per implementation; ratios are medians of the rounds' ratios to the faster baseline."""
    best = max((name for name in rates if name.startswith("baseline")), key=lambda name: _median(rates[name], 0))
    print(f"{'':30} {'tokens/s':>9} {'range':>15} {'ratio':>6} | {'per CPU second':>14} {'ratio':>6}")
    for name, measured in rates.items():
        ratios = [(own[0] / other[0], own[1] / other[1]) for own, other in zip(measured, rates[best], strict=True)]
        walls = [wall for wall, _ in measured]
        print(
            f"{name:30} {_median(measured, 0):9.0f} {min(walls):7.0f}-{max(walls):7.0f} {_median(ratios, 0):6.2f} | "
            f"{_median(measured, 1):14.0f} {_median(ratios, 1):6.2f}"
        )


def _median(pairs: list[tuple[float, float]], which: int) -> float:
    return statistics.median(pair[which] for pair in pairs)


def matrix_product_rate(rows: int, inner: int, columns: int) -> float:
    """Return the GFLOP/s of one float32 product of these sizes, the best of several."""
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    best = math.inf
    for _ in range(8):
        start = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - start)
    return 2e-9 * rows * inner * columns / best


def print_limit(size: str, batch_tokens: int) -> None:
    """Print the rate that the matrix products of the linear layers alone would allow on this machine."""
    shape = SHAPES[size]
    d_model, d_ff, layers = shape.d_model, shape.d_ff, shape.layers
    encoder = layers * (4 * d_model**2 + 2 * d_model * d_ff) + layers * 2 * d_model**2  # keys and values of its output
    decoder = layers * (6 * d_model**2 + 2 * d_model * d_ff) + VOCAB_SIZE * d_model
    flops = 6 * (1.15 * encoder + decoder)  # one product forward, two backward, two operations per weight
    rate = matrix_product_rate(batch_tokens, d_model, d_ff)
    print(
        f"# {torch.__version__}, {torch.get_num_threads()} threads; matrix products ({batch_tokens}, {d_model}) x "
        f"({d_model}, {d_ff}): {rate:.0f} GFLOP/s, which alone would allow {rate * 1e9 / flops:.0f} tokens/s"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SHAPES, default="tiny")
    parser.add_argument("--lengths", choices=LENGTHS, default="multi30k")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="optimizer steps per round")
    parser.add_argument("--pairs", type=int, default=30_000, help="number of sentence pairs to make batches from")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", help=f"measure {BASELINE!r} and the implementations whose name contains this")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    print(f"# {options.size}, lengths as in {options.lengths}, dropout {options.dropout}, {options.rounds} rounds")
    print_limit(options.size, options.batch_tokens)
    steps = implementations(options.size, options.lengths, options.batch_tokens, options.dropout, options.pairs)
    if options.only:
        steps = {name: step for name, step in steps.items() if options.only in name or name == BASELINE}
    report(measure(steps, options.rounds, options.steps))


if __name__ == "__main__":
    main()
