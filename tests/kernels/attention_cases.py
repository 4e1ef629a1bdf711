"""Packed attention inputs, and the plain formula in any dtype, for the tests of the kernels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from translator.kernels import packed_attention
from translator.packing import cu_seqlens_of

# name: lengths of the queries, lengths of the keys
CASES: dict[str, tuple[list[int], list[int]]] = {
    "one token": ([1], [1]),
    "one sentence": ([13], [13]),
    "equal lengths": ([5] * 9, [5] * 9),
    "odd lengths": ([3, 17, 1, 33, 8, 2, 70, 5, 4, 6, 31], [3, 17, 1, 33, 8, 2, 70, 5, 4, 6, 31]),
    "cross, fewer queries": ([2, 7, 1, 12], [9, 7, 20, 13]),
    "cross, more queries": ([9, 7, 20, 13], [2, 7, 1, 12]),
    "zero lengths": ([0, 4, 0, 0, 6, 0], [0, 4, 3, 0, 0, 5]),
    "no keys at all": ([3, 2], [0, 0]),
    "no queries at all": ([0, 0], [3, 2]),
}


def attention_inputs(
    lengths_q: list[int],
    lengths_k: list[int],
    *,
    heads: int = 2,
    head_dim: int = 8,
    padding: int = 0,
    dtype: torch.dtype = torch.float64,
    requires_grad: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Random q, k, v with `padding` rows after the last sequence, and both offsets."""
    generator = torch.Generator().manual_seed(sum(lengths_q) + 31 * sum(lengths_k))
    q, k, v = (
        torch.randn(sum(n) + padding, heads, head_dim, generator=generator, dtype=torch.float64).to(dtype)
        for n in (lengths_q, lengths_k, lengths_k)
    )
    if requires_grad:
        q, k, v = (x.requires_grad_() for x in (q, k, v))
    return q, k, v, cu_seqlens_of(torch.tensor(lengths_q)), cu_seqlens_of(torch.tensor(lengths_k))


def attend(backend: str, causal: bool, inputs: tuple[Tensor, ...], **options: object) -> Tensor:
    """`packed_attention` with the tightest bounds on the lengths."""
    *projections, cu_seqlens_q, cu_seqlens_k = inputs
    longest_q, longest_k = (int(offsets.diff().max()) for offsets in (cu_seqlens_q, cu_seqlens_k))
    return packed_attention(
        projections, cu_seqlens_q, cu_seqlens_k, longest_q, longest_k, causal=causal, backend=backend, **options
    )  # type: ignore[arg-type]


def with_gradients(
    function: Callable[..., Tensor], inputs: tuple[Tensor, ...], dtype: torch.dtype
) -> tuple[Tensor, list[Tensor]]:
    """Output and gradients of q, k and v under one fixed upstream gradient, everything computed in `dtype`."""
    leaves = [x.detach().to(dtype).requires_grad_() for x in inputs[:3]]
    out = function(*leaves, *inputs[3:])
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64).to(dtype)
    if not out.requires_grad:  # no query has a key: the reference never touched its inputs
        return out, [torch.zeros_like(x) for x in leaves]
    return out.detach(), list(torch.autograd.grad(out, leaves, upstream))
