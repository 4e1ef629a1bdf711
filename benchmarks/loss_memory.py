"""Memory of the loss over the vocabulary on a CPU, against `F.linear` with `F.cross_entropy`.

Both compute the summed, smoothed loss and its gradients for the hidden states and the projection, in float32. Each runs
in a process of its own, whose peak resident memory is compared with the memory before the loss.

    python benchmarks/loss_memory.py --tokens 32000 --vocab-size 32000

Output: one row per implementation with megabytes above the inputs, the same in copies of the float32 logits, and
seconds. At this size `F.cross_entropy` needs 13 GB.
"""

from __future__ import annotations

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torch import Tensor
from torch.nn import functional as F
from workload import LABEL_SMOOTHING

from translator.kernels import linear_cross_entropy


def ours(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Return the summed loss of `linear_cross_entropy`."""
    return linear_cross_entropy(hidden, weight, labels, label_smoothing=LABEL_SMOOTHING)


def plain(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Return the summed loss of all logits at once."""
    return F.cross_entropy(F.linear(hidden, weight), labels, label_smoothing=LABEL_SMOOTHING, reduction="sum")


IMPLEMENTATIONS = {"ours": ours, "F.linear + F.cross_entropy": plain}


def measure(name: str, tokens: int, vocab_size: int, d_model: int) -> tuple[int, float, float]:
    """Return the peak memory above the inputs in bytes, the seconds, and the loss."""
    torch.manual_seed(1)
    hidden = torch.randn(tokens, d_model, requires_grad=True)
    weight = torch.randn(vocab_size, d_model).mul_(d_model**-0.5).requires_grad_()
    labels = torch.randint(vocab_size, (tokens,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    loss = IMPLEMENTATIONS[name](hidden, weight, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    seconds = time.perf_counter() - start
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before), seconds, float(loss.detach())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=32_000)
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--d-model", type=int, default=512)
    options = parser.parse_args()
    logits_bytes = 4 * options.tokens * options.vocab_size
    size = f"{options.tokens} x {options.vocab_size}, d_model {options.d_model}"
    print(f"# {size}: float32 logits are {logits_bytes / 1e6:.0f} MB")
    print(f"{'':28} {'MB':>8} {'copies':>7} {'s':>7} {'loss per token':>14}")
    for name in IMPLEMENTATIONS:
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            peak, seconds, loss = alone.submit(
                measure, name, options.tokens, options.vocab_size, options.d_model
            ).result()
        row = f"{peak / 1e6:8.0f} {peak / logits_bytes:7.2f} {seconds:7.1f} {loss / options.tokens:14.6f}"
        print(f"{name:28} {row}")


if __name__ == "__main__":
    main()
