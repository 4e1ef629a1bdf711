"""Self-test: attention, linear layer with ReLU, and loss, with gradients, against the plain formulas in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from translator.kernels import linear_cross_entropy, packed_attention, reference, relu_linear

# Lengths of the sequences of queries and of keys; empty sequences, single tokens and more than one tile.
_QUERIES = (3, 17, 1, 0, 33, 70, 5)
_KEYS = (5, 17, 2, 4, 0, 140, 5)
_NUM_HEADS = 2
_VOCAB_SIZE = 1031
_IGNORED = -100
_SMOOTHING = 0.1

_MAX_ERROR_RATIO = 3.0  # of the error of the plain formula in the same dtype
_MAX_ROUNDING_ERRORS = 16.0  # allowed in any case, relative to the largest value: the plain formula may be exact

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class KernelResult:
    """Result of one kernel.

    Attributes:
        name: kernel, backend and sizes.
        error: largest absolute error of outputs and gradients, divided by the allowed error.
        failure: message of the exception that the kernel raised; None without one.
        is_attention: whether `model.attention` can replace the kernel.
    """

    name: str
    error: float
    failure: str | None = None
    is_attention: bool = False

    @property
    def has_passed(self) -> bool:
        """True if the kernel ran and its error is allowed."""
        return self.failure is None and self.error <= 1  # False for NaN


def run_self_test(
    device: torch.device, dtype: torch.dtype, head_dims: Sequence[int], backend: str, d_model: int
) -> list[KernelResult]:
    """Compare what training computes with the reference.

    Args:
        device: device of training.
        dtype: dtype of activations.
        head_dims: dimensions per head, of each kind of attention in the model.
        backend: attention backend as configured.
        d_model: width of the hidden states.
    """
    cases = [
        ("self-attention", _KEYS, False),
        ("causal attention", _KEYS, True),
        ("cross-attention", _QUERIES, False),
    ]
    results = []
    for head_dim in sorted(set(head_dims)):
        for name, queries, causal in cases:
            result = _compare(
                f"{name}, head_dim {head_dim}",
                _attention_inputs(queries, head_dim),
                partial(_attention, queries, causal, backend),
                partial(_attention, queries, causal, "reference"),
                device,
                dtype,
            )
            results.append(replace(result, is_attention=True))
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(sum(_KEYS), d_model, generator=generator, dtype=torch.float64)
    weight = torch.randn(_VOCAB_SIZE, d_model, generator=generator, dtype=torch.float64) * d_model**-0.5
    # A tenth of the weights' size and biases of 1 and -1: rounding changes the sign of no sum.
    bias = torch.randn(_VOCAB_SIZE, generator=generator, dtype=torch.float64).sign()
    layer = (hidden, weight / 10, bias)
    results.append(
        _compare(f"linear and ReLU, d_model {d_model}", layer, relu_linear, reference.relu_linear, device, dtype)
    )
    name = f"cross entropy, d_model {d_model}"
    results.append(_compare(name, (hidden, weight), _loss, _reference_loss, device, dtype))
    return results


def _compare(
    name: str, inputs: Sequence[Tensor], kernel: Function, plain: Function, device: torch.device, dtype: torch.dtype
) -> KernelResult:
    """Compare a kernel with the plain formula, both in `dtype`, by their distance to the plain formula in float64."""
    exact = _with_gradients(plain, [x.to(dtype).double() for x in inputs])
    rounded = [x.to(dtype) for x in inputs]
    baseline = _with_gradients(plain, rounded)
    try:
        found = _with_gradients(kernel, [x.to(device) for x in rounded])
    except Exception as error:  # a kernel that does not compile or launch: whatever it raises is the result
        return KernelResult(name, float("nan"), f"{type(error).__name__}: {error}")
    worst = 0.0
    for wanted, plainly, actual in zip(exact, baseline, found, strict=True):
        floor = _MAX_ROUNDING_ERRORS * torch.finfo(dtype).eps * float(wanted.abs().max())
        allowed = max(_MAX_ERROR_RATIO * float((plainly.double() - wanted).abs().max()), floor)
        ratio = float((actual.cpu().double() - wanted).abs().max()) / allowed
        if not ratio <= worst:  # also for NaN
            worst = ratio
    return KernelResult(name, worst)


def _with_gradients(function: Function, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the output of a function, and the gradients of its inputs under one fixed upstream gradient."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    out = function(*leaves)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return [out.detach(), *torch.autograd.grad(out, leaves, upstream.to(out.dtype).to(out.device))]


def _attention_inputs(queries: Sequence[int], head_dim: int) -> tuple[Tensor, ...]:
    """Return random queries, keys and values in float64."""
    generator = torch.Generator().manual_seed(head_dim)
    return tuple(
        torch.randn(sum(lengths), _NUM_HEADS, head_dim, generator=generator, dtype=torch.float64)
        for lengths in (queries, _KEYS, _KEYS)
    )


def _attention(queries: Sequence[int], causal: bool, backend: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    offsets_q, offsets_k = (_offsets(lengths).to(q.device) for lengths in (queries, _KEYS))
    return packed_attention([q, k, v], offsets_q, offsets_k, max(queries), max(_KEYS), causal=causal, backend=backend)


def _offsets(lengths: Sequence[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)


def _loss(hidden: Tensor, weight: Tensor) -> Tensor:
    labels = _labels(hidden.device)
    return linear_cross_entropy(hidden, weight, labels, label_smoothing=_SMOOTHING, ignore_index=_IGNORED)


def _reference_loss(hidden: Tensor, weight: Tensor) -> Tensor:
    labels = _labels(hidden.device)
    return reference.linear_cross_entropy(hidden, weight, labels, label_smoothing=_SMOOTHING, ignore_index=_IGNORED)


def _labels(device: torch.device) -> Tensor:
    labels = torch.randint(_VOCAB_SIZE, (sum(_KEYS),), generator=torch.Generator().manual_seed(3))
    labels[::7] = _IGNORED
    return labels.to(device)
