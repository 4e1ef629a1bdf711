"""Attention over packed sentences on a GPU, against the kernels of torch.

Every implementation computes the same sentences, forward and forward with backward, in bfloat16 and in a CUDA graph, so
that only GPU time counts. The padded implementation receives its sentences sorted by length into eight rectangles; the
cost of filling them is not measured. Implementations without dropout are skipped where dropout is measured.

    python benchmarks/attention.py --json results.json
    python benchmarks/attention.py --rehearse      # smoke test on any machine, in Triton's interpreter without a GPU

Output: one row per batch, direction and implementation, ours first, with microseconds, measured and predicted
(roofline.py), the fraction of the memory-bandwidth limit
(each tensor read or written once at this GPU's measured copy rate), and the speedup of ours.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # must be set before triton is imported

from measuring import (
    DEVICE,
    Table,
    as_graph,
    card,
    failure,
    fraction_of_limit,
    median_time,
    parse_gpu_options,
    rotating,
)
from roofline import attention_work, lognormal_lengths, predicted_seconds
from torch import Tensor
from torch.nn import functional as F

from translator.kernels import packed_attention
from translator.packing import cu_seqlens_of

OURS = "ours"
HEAD_DIM = 64
L2_BYTES = 60e6  # an H200; the rotating inputs are larger
NUM_RECTANGLES = 8

Attend = Callable[["Problem"], Tensor]


@dataclass
class Problem:
    """One set of inputs; q, k, v and grad_out are `(num_tokens, heads, HEAD_DIM)`."""

    q: Tensor
    k: Tensor
    v: Tensor
    grad_out: Tensor
    lengths: list[int]
    causal: bool
    dropout_p: float

    def __post_init__(self) -> None:
        self.cu_seqlens = cu_seqlens_of(torch.tensor(self.lengths)).to(DEVICE)
        self.longest = max(self.lengths)
        self.seeds = torch.arange(len(self.lengths), device=DEVICE)


def problem(lengths: list[int], heads: int, causal: bool, dropout_p: float, dtype: torch.dtype) -> Problem:
    """Return random inputs; q, k and v are views of one projection, as in the model."""
    projection = torch.randn(sum(lengths), 3, heads, HEAD_DIM, device=DEVICE).to(dtype)
    q, k, v = (x.requires_grad_() for x in projection.unbind(1))
    return Problem(q, k, v, torch.randn(q.shape, device=DEVICE).to(dtype), lengths, causal, dropout_p)


def ours(x: Problem) -> Tensor:
    """Attention of this project's Triton kernels."""
    return packed_attention(
        [x.q, x.k, x.v],
        *(x.cu_seqlens, x.cu_seqlens, x.longest, x.longest),
        causal=x.causal,
        dropout_p=x.dropout_p,
        seeds=x.seeds,
        backend="triton",
    )


def varlen(x: Problem) -> Tensor:
    """`torch.nn.attention.varlen`, without dropout; the name of the causal argument depends on the version."""
    from torch.nn.attention.varlen import varlen_attn

    if x.dropout_p:
        raise NotImplementedError("has no dropout")
    offsets = (x.cu_seqlens, x.cu_seqlens, x.longest, x.longest)
    try:
        return varlen_attn(x.q, x.k, x.v, *offsets, window_size=(-1, 0) if x.causal else (-1, -1))
    except TypeError:
        return varlen_attn(x.q, x.k, x.v, *offsets, is_causal=x.causal)


def flash(x: Problem) -> Tensor:
    """FlashAttention-2 as included in torch."""
    offsets = (x.cu_seqlens, x.cu_seqlens, x.longest, x.longest)
    return torch.ops.aten._flash_attention_forward(x.q, x.k, x.v, *offsets, x.dropout_p, x.causal, False)[0]


def efficient(x: Problem) -> Tensor:
    """The CUTLASS kernel of xFormers as included in torch, with a batch dimension of one."""
    q, k, v = (tensor[None] for tensor in (x.q, x.k, x.v))
    offsets = (x.cu_seqlens, x.cu_seqlens, x.longest, x.longest)
    return torch.ops.aten._efficient_attention_forward(
        q, k, v, None, *offsets, x.dropout_p, 2 if x.causal else 0, True
    )[0][0]


IMPLEMENTATIONS: dict[str, Attend] = {OURS: ours, "torch varlen": varlen, "flash": flash, "efficient": efficient}


def padded(x: Problem) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return forward, and forward with backward, of SDPA over rectangles of sentences of similar length."""
    order = sorted(x.lengths)
    size = -(-len(order) // NUM_RECTANGLES)
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    heads, dtype = x.q.shape[1], x.q.dtype
    rectangles = []
    for group in groups:
        shape = (len(group), heads, group[-1], HEAD_DIM)
        q, k, v = (torch.randn(shape, device=DEVICE).to(dtype).requires_grad_() for _ in range(3))
        mask = None
        if not x.causal and group[0] < group[-1]:  # the causal mask hides padding: it comes last
            mask = torch.arange(group[-1], device=DEVICE) < torch.tensor(group, device=DEVICE)[:, None, None, None]
        rectangles.append((q, k, v, mask, torch.randn(shape, device=DEVICE).to(dtype)))

    def forward() -> list[Tensor]:
        return [
            F.scaled_dot_product_attention(q, k, v, mask, x.dropout_p, is_causal=x.causal)
            for q, k, v, mask, _ in rectangles
        ]

    def both() -> None:
        for out, (q, k, v, _, grad_out) in zip(forward(), rectangles, strict=True):
            torch.autograd.grad(out, (q, k, v), grad_out)

    return forward, both


def calls(name: str, problems: list[Problem]) -> dict[str, Callable[[], object]]:
    """Return the calls to measure for an implementation, by direction."""
    if name == "padded, sorted":
        pairs = [padded(x) for x in problems]
        return {"forward": _graphs([pair[0] for pair in pairs]), "both": _graphs([pair[1] for pair in pairs])}
    attend = IMPLEMENTATIONS[name]

    def forward(x: Problem) -> Callable[[], object]:
        return lambda: attend(x)

    def both(x: Problem) -> Callable[[], object]:
        return lambda: torch.autograd.grad(attend(x), (x.q, x.k, x.v), x.grad_out)

    return {"forward": _graphs([forward(x) for x in problems]), "both": _graphs([both(x) for x in problems])}


def _graphs(runs: list[Callable[[], object]]) -> Callable[[], object]:
    return rotating([as_graph(run) for run in runs])


def min_bytes(x: Problem, direction: str) -> int:
    """Return the bytes read and written at least: q, k, v, the output; backward also its gradient and three more."""
    tensors = {"forward": 4, "both": 4 + 7}[direction]
    return tensors * x.q.numel() * x.q.element_size()


def measure(
    batch: str, names: Sequence[str], problems: list[Problem], facts: dict[str, Any], ours: dict[tuple[str, str], float]
) -> Iterator[dict[str, Any]]:
    """Yield one row per direction and implementation; an unsupported case has the reason.

    Args:
        batch: name of the batch.
        names: implementations.
        problems: inputs, used in rotation.
        facts: see `card`.
        ours: seconds of ours by batch and direction; set by its rows, and read by the rows of the others.
    """
    first = problems[0]
    for name in names:
        try:
            for direction, run in calls(name, problems).items():
                seconds = median_time(run)
                row = {"batch": batch, "direction": direction, "implementation": name, "us": seconds * 1e6}
                if name == OURS:
                    ours[batch, direction] = seconds
                    work = attention_work(first.lengths, first.q.shape[1], HEAD_DIM, direction == "both")
                    row["predicted us"] = predicted_seconds(work, facts) * 1e6
                limit = fraction_of_limit(min_bytes(first, direction), seconds, facts.get("copy_bytes_s"))
                speedup = seconds / ours[batch, direction] if (batch, direction) in ours else None
                yield row | {"of bandwidth limit": limit, "speedup of ours": speedup}
        except (RuntimeError, NotImplementedError, ImportError) as error:
            reason = {"direction": str(error).strip().split("\n")[0][:60]}
            yield {"batch": batch, "implementation": name} | (failure(error) if name == OURS else reason)


def batches(num_tokens: int, is_smoke_test: bool) -> dict[str, list[int]]:
    """Return the sentence lengths of each batch, by name."""
    fixed = (5, 40) if is_smoke_test else (16, 27, 64, 128, 256)
    return {
        "lognormal, mean 27": lognormal_lengths(num_tokens),
        **{f"all of {n}": [n] * max(1, num_tokens // n) for n in fixed},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=25_000)
    parser.add_argument("--heads", type=int, nargs="+", default=[8])
    parser.add_argument("--dropout", type=float, nargs="+", default=[0.0, 0.1])
    options = parse_gpu_options(parser)
    tokens, all_heads, dtype = options.tokens, options.heads, torch.bfloat16
    if options.rehearse:
        tokens, all_heads, dtype = 50, [1], torch.float32
    facts = card()
    table = Table("attention", facts, options.json)
    times: dict[tuple[str, str], float] = {}
    for names in ([OURS], [*(name for name in IMPLEMENTATIONS if name != OURS), "padded, sorted"]):
        for heads in all_heads:
            for name, lengths in batches(tokens, options.rehearse).items():
                is_main = name.startswith("lognormal")
                for causal in (False, True) if is_main else (True,):
                    for dropout_p in options.dropout if is_main else options.dropout[:1]:
                        copies = max(1, math.ceil(L2_BYTES / (4 * tokens * heads * HEAD_DIM * 2)))
                        problems = [
                            problem(lengths, heads, causal, dropout_p, dtype)
                            for _ in range(1 if options.rehearse else copies + 1)
                        ]
                        kind = f"{name}, {heads} heads, {'causal' if causal else 'full'}, dropout {dropout_p}"
                        table.add(measure(kind, names, problems, facts, times))
    table.finish()


if __name__ == "__main__":
    main()
