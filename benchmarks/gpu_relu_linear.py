"""First layer of the feed-forward network on a GPU: linear layer and ReLU as one operator, against separate ones.

Every implementation computes the layer and its gradients in bfloat16: ours, and `F.linear` with `F.relu`, in eager mode
and compiled. The matrix products that all of them need are timed alone; the table compares the time beyond them. Each
call reads and writes more than the L2 cache holds.

    python benchmarks/gpu_relu_linear.py --json results.json
    python benchmarks/gpu_relu_linear.py --rehearse      # smoke test on any machine, in plain torch without a GPU

Output: one row per direction and implementation with microseconds, measured and predicted (roofline.py), microseconds
beyond the products, and the speedup of ours beyond the products.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import baseline_models
import torch
from measuring import DEVICE, HAS_GPU, Table, card, failure, median_time, parse_gpu_options
from roofline import predicted_seconds, relu_gradient, relu_linear_products
from torch import Tensor
from torch.nn import functional as F

from translator.kernels import relu_linear

OURS = "ours"

Layer = Callable[[Tensor, Tensor, Tensor], Tensor]
Run = Callable[[], object]


def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the layer in separate operations."""
    return F.relu(F.linear(x, weight, bias))


def implementations() -> dict[str, Layer]:
    """Return the layers to compare; the compiled one only with a GPU."""
    layers: dict[str, Layer] = {OURS: relu_linear, "F.linear + F.relu": plain}
    if HAS_GPU:
        layers["F.linear + F.relu, compiled"] = torch.compile(plain, dynamic=False)
    return layers


def call(layer: Layer, inputs: list[Tensor], grad_out: Tensor, is_backward: bool) -> Run:
    """Return a call that computes the layer and, with `is_backward`, its three gradients."""
    if not is_backward:
        return lambda: layer(*inputs)
    return lambda: torch.autograd.grad(layer(*inputs), inputs, grad_out)


def products(inputs: list[Tensor], grad_out: Tensor, is_backward: bool) -> Run:
    """Return the matrix products alone."""
    x, weight, _ = (tensor.detach() for tensor in inputs)
    if not is_backward:
        return lambda: x @ weight.T
    return lambda: (x @ weight.T, grad_out @ weight, grad_out.T @ x)


def measure(size: tuple[int, int, int], facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row for the products and one per implementation, for each direction."""
    num_tokens, d_model, d_ff = size
    x = torch.randn(num_tokens, d_model, device=DEVICE).bfloat16().requires_grad_()
    weight = (torch.randn(d_ff, d_model, device=DEVICE) * d_model**-0.5).bfloat16().requires_grad_()
    bias = torch.randn(d_ff, device=DEVICE).bfloat16().requires_grad_()
    inputs, grad_out = [x, weight, bias], torch.randn(num_tokens, d_ff, device=DEVICE).bfloat16()
    for is_backward in (False, True):
        work = relu_linear_products(num_tokens, d_model, d_ff, is_backward)
        alone = median_time(products(inputs, grad_out, is_backward))
        labels = {"size": f"{num_tokens} x {d_model} x {d_ff}", "direction": "both" if is_backward else "forward"}
        predicted = predicted_seconds(work, facts)
        yield labels | {"what": "products alone", "us": alone * 1e6, "predicted us": predicted * 1e6}
        predicted += predicted_seconds(relu_gradient(num_tokens, d_ff), facts) if is_backward else 0
        our_beyond = 0.0
        for name, layer in implementations().items():
            row = labels | {"what": name}
            try:
                seconds = median_time(call(layer, inputs, grad_out, is_backward))
            except RuntimeError as error:
                if name == OURS:
                    yield row | failure(error)
                else:
                    baseline_models.print_skipped(name, error)
                continue
            beyond = seconds - alone
            our_beyond = beyond if name == OURS else our_beyond
            row |= {"us": seconds * 1e6, "predicted us": predicted * 1e6 if name == OURS else None}
            speedup = beyond / our_beyond if our_beyond > 0 else None
            yield row | {"us beyond products": beyond * 1e6, "speedup of ours": speedup}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=25_000)
    parser.add_argument("--d-model", type=int, default=512)
    parser.add_argument("--d-ff", type=int, default=2048)
    options = parse_gpu_options(parser)
    size = (40, 16, 32) if options.rehearse else (options.tokens, options.d_model, options.d_ff)
    torch.manual_seed(1)
    facts = card()
    table = Table("linear and ReLU", facts, options.json)
    table.add(measure(size, facts))
    table.finish()


if __name__ == "__main__":
    main()
