"""What does the loss over the vocabulary take on a GPU beside its matrix products, in time and in memory?

Every contestant computes the summed, smoothed loss and its gradients for the hidden states and the projection, in
bfloat16: ours, and `F.linear` with `F.cross_entropy` in float32, as under autocast, as Python launches
it and compiled. The three matrix products that all of them need are timed alone, and what a contestant takes above them
is compared. Nothing rotates: the logits of one call are many times the L2 cache.

    python benchmarks/gpu_loss.py --json results.json
    python benchmarks/gpu_loss.py --rehearse      # any machine: tiny, and without a GPU in plain torch

A row for each size and contestant: milliseconds; the share of this card's rate of matrix products; milliseconds outside
the products, the share of the byte floor there (each logit read once and its gradient written once, at the rate at
which this card copies) and how many times as fast ours is; the most memory taken above the inputs, in MB and as copies
of the bfloat16 logits, and the copies that are left without the bytes of the two gradients.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers
import torch
from measuring import DEVICE, HAS_GPU, card, failure, median_time, report, share
from torch import Tensor
from torch.nn import functional as F
from training_step import LABEL_SMOOTHING

from translator.kernels import linear_cross_entropy

OURS = "ours"

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Run = Callable[[], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Problem:
    """The inputs of a loss.

    hidden is `(num_tokens, d_model)`, weight `(num_pieces, d_model)`, labels `(num_tokens,)` int64.
    """

    hidden: Tensor
    weight: Tensor
    labels: Tensor

    @property
    def num_logits(self) -> int:
        return len(self.hidden) * len(self.weight)

    @property
    def logits_bytes(self) -> int:
        return self.num_logits * self.hidden.element_size()

    @property
    def flop(self) -> int:
        """Of the product that gives the logits, and the two that give gradients."""
        return 3 * 2 * self.num_logits * self.hidden.shape[1]


def problem(tokens: int, pieces: int, d_model: int) -> Problem:
    """Random numbers, whose logits spread by about one."""
    hidden = torch.randn(tokens, d_model, device=DEVICE).bfloat16().requires_grad_()
    weight = (torch.randn(pieces, d_model, device=DEVICE) * d_model**-0.5).bfloat16().requires_grad_()
    return Problem(hidden, weight, torch.randint(pieces, (tokens,), device=DEVICE))


def ours(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return linear_cross_entropy(hidden, weight, labels, label_smoothing=LABEL_SMOOTHING)


def plain(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    logits = F.linear(hidden, weight).float()
    return F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING, reduction="sum")


def contestants() -> dict[str, Loss]:
    losses: dict[str, Loss] = {OURS: ours, "F.linear + F.cross_entropy": plain}
    if HAS_GPU:
        losses["F.linear + F.cross_entropy, compiled"] = torch.compile(plain, dynamic=False)
    return losses


def both_ways(loss: Loss, x: Problem) -> Run:
    return lambda: torch.autograd.grad(loss(x.hidden, x.weight, x.labels), (x.hidden, x.weight))


def products(x: Problem) -> Run:
    """The matrix products alone, on numbers like those of the loss: how fast a card multiplies depends on them."""
    hidden, weight = x.hidden.detach(), x.weight.detach()
    grad = torch.softmax(hidden @ weight.T, dim=1)
    return lambda: (hidden @ weight.T, grad @ weight, grad.T @ hidden)


def peak_bytes(run: Run) -> int | None:
    """The most memory that a call takes above what is taken before; None without a GPU."""
    if not HAS_GPU:
        return None
    run()  # workspaces of the matrix products are made once, and stay
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def memory_columns(x: Problem, peak: int | None) -> dict[str, float | None]:
    if peak is None:
        return {"peak MB": None, "copies": None, "copies, no gradients": None}
    gradients = x.hidden.nbytes + x.weight.nbytes
    return {
        "peak MB": peak / 1e6,
        "copies": peak / x.logits_bytes,
        "copies, no gradients": (peak - gradients) / x.logits_bytes,
    }


def measure(x: Problem, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for the matrix products, and one for each contestant."""
    size = f"{len(x.hidden)} x {len(x.weight)}, d_model {x.hidden.shape[1]}"
    flop_rate, copy_rate = facts.get("flop_s"), facts.get("copy_bytes_s")
    alone = median_time(products(x))
    row = {"size": size, "what": "the products alone", "ms": alone * 1e3}
    rows = [row | {"of matrix rate": share(x.flop, alone, flop_rate)}]
    our_outside = 0.0
    for name, loss in contestants().items():
        try:
            run = both_ways(loss, x)
            seconds, peak = median_time(run), peak_bytes(run)
        except RuntimeError as error:
            if name == OURS:
                rows.append({"size": size, "what": name} | failure(error))
            else:
                peers.leave_out(name, error)
            continue
        outside = seconds - alone
        our_outside = outside if name == OURS else our_outside
        row = {"size": size, "what": name, "ms": seconds * 1e3, "of matrix rate": share(x.flop, seconds, flop_rate)}
        row |= {"ms outside": outside * 1e3, "of floor": share(2 * x.logits_bytes, outside, copy_rate)}
        row["ours is faster by"] = outside / our_outside if our_outside > 0 else None
        rows.append(row | memory_columns(x, peak))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=[25_000, 32_000])
    parser.add_argument("--pieces", type=int, default=32_000)
    parser.add_argument("--d-model", type=int, default=512)
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--json", type=Path, help="where to write the table")
    options = parser.parse_args()
    if not (options.rehearse or HAS_GPU):
        parser.error("a CUDA device is required. Received: none. Use --rehearse to see the script run without one.")
    sizes = [(tokens, options.pieces, options.d_model) for tokens in options.tokens]
    if options.rehearse:
        sizes = [(40, 100, 16), (50, 100, 16)]
    torch.manual_seed(1)
    facts = card()
    rows = [row for size in sizes for row in measure(problem(*size), facts)]
    report("loss over the vocabulary", facts, rows, options.json)


if __name__ == "__main__":
    main()
