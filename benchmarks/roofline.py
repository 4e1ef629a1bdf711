"""Lower bounds and predictions of the GPU kernels, computed before any of them has run on a GPU.

The floor of a kernel is the largest of three times: its bytes at the peak bandwidth of the memory, its matrix products
at the peak rate of bfloat16, and its warp instructions at the peak issue rate. The prediction assumes that a kernel
reaches `EFFICIENCY` of each peak. The peaks are published ones; benchmarks on a GPU use the rates that they measured.
Instructions are those of the compiled code for sm_90 (tests/kernels/test_ahead_of_time.py compares them), where loops
count once.

    python benchmarks/roofline.py    # prints the table of docs/kernels.md
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Peak:
    """Peak rates of a GPU.

    Attributes:
        bytes_s: bandwidth of the memory.
        flop_s: dense bfloat16 products.
        instructions_s: warp instructions; four schedulers in each of 132 multiprocessors at 1.755 GHz.
    """

    bytes_s: float
    flop_s: float
    instructions_s: float = 4 * 132 * 1.755e9


@dataclass(frozen=True)
class Work:
    """Bytes moved at least, FLOP of matrix products, and warp instructions of one call."""

    bytes: float
    flop: float = 0.0
    instructions: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.bytes + other.bytes, self.flop + other.flop, self.instructions + other.instructions)


PEAKS = {"H100": Peak(3.35e12, 989e12), "H200": Peak(4.8e12, 989e12)}  # SXM modules, data sheets of NVIDIA
EFFICIENCY = {"bytes": 0.75, "flop": 0.6, "instructions": 0.5}  # assumptions

# Instructions of a warp, by kernel and tile, and warps of a program: bfloat16, head dimension 64, causal, dropout.
INSTRUCTIONS = {
    ("short_forward", 16): (572, 1),
    ("short_forward", 32): (782, 2),
    ("short_forward", 64): (1033, 4),
    ("short_forward", 128): (1890, 8),
    ("short_backward", 16): (898, 1),
    ("short_backward", 32): (1219, 2),
    ("short_backward", 64): (1450, 4),
    ("short_backward", 128): (2559, 8),
    ("rows_loss", None): (492, 32),
    ("relu_gradient", 16): (659, 8),
}
_RELU_BLOCK = (64, 256)  # rows and columns of a program of `relu_gradient`
_TILES = (16, 32, 64, 128)

# Estimates, written down before the first run: fraction of the rate of matrix products, by size and implementation.
PREDICTED_UTILIZATION = {
    ("base", "ours, compiled"): 0.34,
    ("base", "ours"): 0.25,
    ("base", "ours, CUDA graphs"): 0.34,
    ("base", "ours, compiled, one graph"): 0.35,
    ("big", "ours, compiled"): 0.45,
    ("big", "ours"): 0.38,
    ("small", "ours, CUDA graphs"): 0.011,
    ("small", "ours, compiled, one graph"): 0.015,
}
PREDICTED_SEARCH_RATES = {"ours, greedy": 450e3, "ours, beam 4": 300e3}  # target tokens/s, 256 sentences


def attention_work(lengths: Sequence[int], heads: int, head_dim: int, is_backward: bool) -> Work:
    """Return the work of self-attention forward or, with `is_backward`, forward and backward; two bytes per number.

    Programs of sequences of more than 128 tokens are counted as if in tiles of 128 x 128.
    """
    tensors = 11 if is_backward else 4  # q, k, v and output; backward reads these and writes three gradients
    products = 7 if is_backward else 2
    instructions = 0
    for length in lengths:
        tile = next((tile for tile in _TILES if length <= tile), _TILES[-1])
        tiles = math.ceil(length / tile) ** 2
        for kernel in ("short_forward", "short_backward")[: 1 + is_backward]:
            count, warps = INSTRUCTIONS[kernel, tile]
            instructions += tiles * count * warps * heads
    flop = products * 2 * heads * head_dim * sum(length**2 for length in lengths)
    return Work(tensors * sum(lengths) * heads * head_dim * 2, flop, instructions)


def loss_products(num_tokens: int, vocab_size: int, d_model: int) -> Work:
    """Return the work of the three matrix products of the loss; each reads or writes the logits once."""
    operands = 2 * (num_tokens + vocab_size) * d_model * 2
    return Work(3 * 2 * num_tokens * vocab_size + operands, 3 * 2 * num_tokens * vocab_size * d_model)


def loss_kernel(num_tokens: int, vocab_size: int) -> Work:
    """Return the work of the kernel that replaces logits by their gradient."""
    count, warps = INSTRUCTIONS["rows_loss", None]
    scale = math.ceil(vocab_size / 32768)
    return Work(2 * 2 * num_tokens * vocab_size, 0, num_tokens * count * warps * scale)


def relu_linear_products(num_tokens: int, d_model: int, d_ff: int, is_backward: bool) -> Work:
    """Return the work of the product of linear layer and ReLU or, with `is_backward`, of all three."""
    operands = (num_tokens * (d_model + d_ff) + d_model * d_ff) * 2
    products = 3 if is_backward else 1
    return Work(products * operands, products * 2 * num_tokens * d_model * d_ff)


def relu_gradient(num_tokens: int, d_ff: int) -> Work:
    """Return the work of the kernel that masks the gradient before ReLU and sums its columns by blocks of rows."""
    count, warps = INSTRUCTIONS["relu_gradient", 16]
    rows, columns = _RELU_BLOCK
    row_blocks = math.ceil(num_tokens / rows)
    instructions = row_blocks * math.ceil(d_ff / columns) * count * warps
    return Work(3 * 2 * num_tokens * d_ff + 4 * row_blocks * d_ff, 0, instructions)


def decode_self(rows: int, positions: int, heads: int, head_dim: int) -> Work:
    """Return the work of one step of self-attention over a cache."""
    return Work(rows * (2 + 2 * positions) * heads * head_dim * 2)


def decode_cross(sentences: int, beams: int, source_tokens: int, heads: int, head_dim: int) -> Work:
    """Return the work of one step of cross-attention; the beams of a sentence share its keys."""
    return Work((2 * sentences * beams + 2 * sentences * source_tokens) * heads * head_dim * 2)


def top_tokens(rows: int, vocab_size: int) -> Work:
    """Return the work of selecting the most probable tokens of bfloat16 logits."""
    return Work(rows * vocab_size * 2)


def floor_seconds(work: Work, peak: Peak) -> float:
    """Return the time below which the work cannot be done."""
    return max(work.bytes / peak.bytes_s, work.flop / peak.flop_s, work.instructions / peak.instructions_s)


def _predicted(work: Work, peak: Peak) -> float:
    return max(
        work.bytes / peak.bytes_s / EFFICIENCY["bytes"],
        work.flop / peak.flop_s / EFFICIENCY["flop"],
        work.instructions / peak.instructions_s / EFFICIENCY["instructions"],
    )


def predicted_seconds(work: Work, facts: dict[str, Any]) -> float:
    """Return the predicted time at the rates that `measuring.card` measured, or at the peaks of an H200."""
    peak = PEAKS["H200"]
    if "flop_s" not in facts:
        return _predicted(work, peak)
    measured = Peak(facts["copy_bytes_s"], facts["flop_s"])
    return max(
        work.bytes / measured.bytes_s,  # a copy reaches what a kernel can reach
        work.flop / measured.flop_s / EFFICIENCY["flop"],
        work.instructions / measured.instructions_s / EFFICIENCY["instructions"],
    )


def predicted_step(flop: float, utilization: float, facts: dict[str, Any]) -> float:
    """Return the predicted seconds of a training step from its FLOP and the expected utilization."""
    return flop / utilization / float(facts.get("flop_s", PEAKS["H200"].flop_s))


def lognormal_lengths(num_tokens: int) -> list[int]:
    """Return lengths as in a general corpus: mean 27, one in twenty above 60, one in a hundred above 90."""
    generator = torch.Generator().manual_seed(0)
    lengths: list[int] = []
    while sum(lengths) < num_tokens:
        lengths.append(int(torch.randn((), generator=generator).mul(0.59).add(math.log(22.7)).exp().clamp(1, 250)))
    return lengths


def works() -> dict[str, Work]:
    """Return the work of each kernel at the sizes of a base model and 25,000 tokens, by name."""
    lengths = lognormal_lengths(25_000)
    forward = attention_work(lengths, 8, 64, is_backward=False)
    both = attention_work(lengths, 8, 64, is_backward=True)
    backward = Work(both.bytes - forward.bytes, both.flop - forward.flop, both.instructions - forward.instructions)
    return {
        "attention forward, one layer": forward,
        "attention backward, one layer": backward,
        "loss: products, 32k tokens": loss_products(25_000, 32_000, 512),
        "loss: kernel, 32k tokens": loss_kernel(25_000, 32_000),
        "feed-forward: gradient of ReLU, one layer": relu_gradient(25_000, 2048),
        "decoding: self-attention, 1,024 rows, 15 positions": decode_self(1024, 15, 8, 64),
        "decoding: cross-attention, 256 x 4 rows, 28 tokens": decode_cross(256, 4, 28, 8, 64),
        "decoding: top tokens, 1,024 rows, 32k tokens": top_tokens(1024, 32_000),
    }


def table() -> str:
    """Return the table of docs/kernels.md."""
    lines = [
        "| kernel | MB | GFLOP | M instructions | floor H100 | floor H200 | predicted H100 | predicted H200 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, work in works().items():
        counts = (work.bytes / 1e6, work.flop / 1e9, work.instructions / 1e6)
        amounts = [f"{count:,.1f}" if count else "-" for count in counts]
        times = [floor_seconds(work, peak) for peak in PEAKS.values()]
        times += [_predicted(work, peak) for peak in PEAKS.values()]
        cells = [name, *amounts, *(f"{seconds * 1e6:,.1f}" for seconds in times)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
