"""Loss over the vocabulary on a GPU: time and memory beyond its matrix products.

Every implementation computes the summed, smoothed loss and its gradients for the hidden states and the projection, in
bfloat16: ours, and `F.linear` with `F.cross_entropy` in float32, as under autocast, in eager mode and compiled. The
three matrix products that all of them need are timed alone; the table compares the time beyond them. Inputs do not
rotate: the logits of one call are many times larger than the L2 cache.

    python benchmarks/gpu_loss.py --json results.json
    python benchmarks/gpu_loss.py --rehearse      # smoke test on any machine, in plain torch without a GPU

Output: one row per size and implementation with milliseconds, measured and predicted (roofline.py); the fraction of
this GPU's rate of matrix products; milliseconds beyond the products, their fraction of the memory-bandwidth limit (each
logit read once and its gradient written once, at the measured copy rate), and the speedup of ours; peak memory above
the inputs, in MB and in copies of the bfloat16 logits, with and without the two gradients.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import baseline_models
import torch
from measuring import DEVICE, HAS_GPU, Table, card, failure, fraction_of_limit, median_time, parse_gpu_options
from roofline import loss_kernel, loss_products, predicted_seconds
from torch import Tensor
from torch.nn import functional as F
from workload import LABEL_SMOOTHING

from translator.kernels import linear_cross_entropy

OURS = "ours"

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Run = Callable[[], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Problem:
    """The inputs of a loss.

    Attributes:
        hidden: `(num_tokens, d_model)`, bfloat16.
        weight: `(vocab_size, d_model)`, bfloat16.
        labels: `(num_tokens,)`, int64.
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
        """FLOP of the product for the logits and of the two products for the gradients."""
        return 3 * 2 * self.num_logits * self.hidden.shape[1]


def problem(tokens: int, vocab_size: int, d_model: int) -> Problem:
    """Return random inputs whose logits have a standard deviation of about one."""
    hidden = torch.randn(tokens, d_model, device=DEVICE).bfloat16().requires_grad_()
    weight = (torch.randn(vocab_size, d_model, device=DEVICE) * d_model**-0.5).bfloat16().requires_grad_()
    return Problem(hidden, weight, torch.randint(vocab_size, (tokens,), device=DEVICE))


def ours(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Return the summed loss of `linear_cross_entropy`."""
    return linear_cross_entropy(hidden, weight, labels, label_smoothing=LABEL_SMOOTHING)


def plain(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Return the summed loss of float32 logits."""
    logits = F.linear(hidden, weight).float()
    return F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING, reduction="sum")


def implementations() -> dict[str, Loss]:
    """Return the losses to compare; the compiled one only with a GPU."""
    losses: dict[str, Loss] = {OURS: ours, "F.linear + F.cross_entropy": plain}
    if HAS_GPU:
        losses["F.linear + F.cross_entropy, compiled"] = torch.compile(plain, dynamic=False)
    return losses


def forward_backward(loss: Loss, x: Problem) -> Run:
    """Return a call that computes the loss and both gradients."""
    return lambda: torch.autograd.grad(loss(x.hidden, x.weight, x.labels), (x.hidden, x.weight))


def products(x: Problem) -> Run:
    """Return the matrix products alone, on values as in the loss, since a GPU's speed depends on the values."""
    hidden, weight = x.hidden.detach(), x.weight.detach()
    grad = torch.softmax(hidden @ weight.T, dim=1)
    return lambda: (hidden @ weight.T, grad @ weight, grad.T @ hidden)


def peak_bytes(run: Run) -> int | None:
    """Return the peak memory of a call above the memory used before; None without a GPU."""
    if not HAS_GPU:
        return None
    run()  # allocates the workspaces of the matrix products, which remain
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def memory_columns(x: Problem, peak: int | None) -> dict[str, float | None]:
    """Return the columns of peak memory."""
    if peak is None:
        return {"peak MB": None, "copies": None, "copies, no gradients": None}
    gradients = x.hidden.nbytes + x.weight.nbytes
    return {
        "peak MB": peak / 1e6,
        "copies": peak / x.logits_bytes,
        "copies, no gradients": (peak - gradients) / x.logits_bytes,
    }


def measure(x: Problem, facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row for the matrix products and one per implementation."""
    size = f"{len(x.hidden)} x {len(x.weight)}, d_model {x.hidden.shape[1]}"
    flop_rate, copy_rate = facts.get("flop_s"), facts.get("copy_bytes_s")
    shape = (len(x.hidden), len(x.weight), x.hidden.shape[1])
    predicted = predicted_seconds(loss_products(*shape), facts)
    beyond_predicted = predicted_seconds(loss_kernel(*shape[:2]), facts)
    alone = median_time(products(x))
    row = {"size": size, "what": "products alone", "ms": alone * 1e3, "predicted ms": predicted * 1e3}
    yield row | {"of matrix rate": fraction_of_limit(x.flop, alone, flop_rate)}
    our_beyond = 0.0
    for name, loss in implementations().items():
        try:
            run = forward_backward(loss, x)
            seconds, peak = median_time(run), peak_bytes(run)
        except RuntimeError as error:
            if name == OURS:
                yield {"size": size, "what": name} | failure(error)
            else:
                baseline_models.print_skipped(name, error)
            continue
        beyond = seconds - alone
        our_beyond = beyond if name == OURS else our_beyond
        row = {"size": size, "what": name, "ms": seconds * 1e3}
        row["predicted ms"] = (predicted + beyond_predicted) * 1e3 if name == OURS else None
        row |= {"of matrix rate": fraction_of_limit(x.flop, seconds, flop_rate), "ms beyond products": beyond * 1e3}
        row["of bandwidth limit"] = fraction_of_limit(2 * x.logits_bytes, beyond, copy_rate)
        row["speedup of ours"] = beyond / our_beyond if our_beyond > 0 else None
        yield row | memory_columns(x, peak)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=[25_000, 32_000])
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--d-model", type=int, default=512)
    options = parse_gpu_options(parser)
    sizes = [(tokens, options.vocab_size, options.d_model) for tokens in options.tokens]
    if options.rehearse:
        sizes = [(40, 100, 16), (50, 100, 16)]
    torch.manual_seed(1)
    facts = card()
    table = Table("loss over the vocabulary", facts, options.json)
    for size in sizes:
        table.add(measure(problem(*size), facts))
    table.finish()


if __name__ == "__main__":
    main()
