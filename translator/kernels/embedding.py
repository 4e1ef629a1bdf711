"""Rows of an embedding matrix, with a gradient that is the same in every run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def embed(indices: Tensor, weight: Tensor) -> Tensor:
    """Return rows of a matrix, with a deterministic gradient on every device and under `torch.compile`.

    The compiler turns the gradient of `F.embedding` into atomic additions on CUDA: their order changes from run to run,
    and with it the rounding, so that a resumed run differs.

    Args:
        indices: `(n,)` int64.
        weight: `(num_rows, width)`.

    Returns:
        `(n, width)`, dtype of `weight`.
    """
    if not (torch.is_grad_enabled() and weight.requires_grad):
        return F.embedding(indices, weight)
    rows: Tensor = _Embed.apply(indices, weight)  # type: ignore[no-untyped-call]
    return rows


class _Embed(torch.autograd.Function):
    """`F.embedding`, whose gradient is an operator that the compiler does not decompose."""

    @staticmethod
    def forward(ctx: Any, indices: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.num_rows = weight.shape[0]
        return F.embedding(indices, weight)

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[None, Tensor]:
        (indices,) = ctx.saved_tensors
        return None, embedding_gradient(grad_out, indices, ctx.num_rows)


@torch.library.custom_op("translator::embedding_gradient", mutates_args=())
def embedding_gradient(grad_out: Tensor, indices: Tensor, num_rows: int) -> Tensor:
    """Return the sum of `grad_out: (n, width)` over equal indices, `(num_rows, width)`.

    Torch's own kernel sorts the indices on CUDA, so that one program adds the rows of an index in their order.
    """
    gradient: Tensor = torch.ops.aten.embedding_dense_backward(grad_out, indices, num_rows, -1, False)
    return gradient


@embedding_gradient.register_fake
def _(grad_out: Tensor, indices: Tensor, num_rows: int) -> Tensor:
    return grad_out.new_empty(num_rows, grad_out.shape[1])
