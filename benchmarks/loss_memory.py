"""How much memory does the loss over the vocabulary take on a CPU, beside the plain way?

Both compute the summed, smoothed loss and its gradients for the hidden states and the projection, in float32: ours, and
`F.linear` with `F.cross_entropy`. Each runs in a process of its own, whose greatest resident memory is compared with
what it was when the inputs lay ready.

    python benchmarks/loss_memory.py --tokens 32000 --pieces 32000

A row a contestant: megabytes above the inputs, the same as copies of the float32 logits, and seconds. At the size of
the example the plain way takes 13 GB.
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

from translator.kernels import linear_cross_entropy

LABEL_SMOOTHING = 0.1


def ours(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return linear_cross_entropy(hidden, weight, labels, label_smoothing=LABEL_SMOOTHING)


def plain(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight), labels, label_smoothing=LABEL_SMOOTHING, reduction="sum")


CONTESTANTS = {"ours": ours, "F.linear + F.cross_entropy": plain}


def measure(name: str, tokens: int, pieces: int, d_model: int) -> tuple[int, float, float]:
    """Bytes above the inputs at the peak, seconds, and the loss."""
    torch.manual_seed(1)
    hidden = torch.randn(tokens, d_model, requires_grad=True)
    weight = torch.randn(pieces, d_model).mul_(d_model**-0.5).requires_grad_()
    labels = torch.randint(pieces, (tokens,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    loss = CONTESTANTS[name](hidden, weight, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    seconds = time.perf_counter() - start
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before), seconds, float(loss.detach())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=32_000)
    parser.add_argument("--pieces", type=int, default=32_000)
    parser.add_argument("--d-model", type=int, default=512)
    options = parser.parse_args()
    logits_bytes = 4 * options.tokens * options.pieces
    size = f"{options.tokens} x {options.pieces}, d_model {options.d_model}"
    print(f"# {size}: float32 logits are {logits_bytes / 1e6:.0f} MB")
    print(f"{'':28} {'MB':>8} {'copies':>7} {'s':>7} {'loss a token':>13}")
    for name in CONTESTANTS:
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            peak, seconds, loss = alone.submit(measure, name, options.tokens, options.pieces, options.d_model).result()
        row = f"{peak / 1e6:8.0f} {peak / logits_bytes:7.2f} {seconds:7.1f} {loss / options.tokens:13.6f}"
        print(f"{name:28} {row}")


if __name__ == "__main__":
    main()
