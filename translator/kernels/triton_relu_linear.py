"""Linear layer, ReLU and dropout on CUDA as one operator.

Forward, the matrix product adds the bias and applies ReLU before it stores its result. Backward, one kernel masks the
gradient and sums its columns, which gives the gradient of the bias. No mask is stored: an element of the result is
positive if and only if neither ReLU nor dropout zeroed it.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from translator.kernels.dropout import keyed_dropout
from translator.kernels.triton_tiles import on_device_of

_BLOCK_ROWS = 64  # rows of a program; a constant, so that columns are always summed in the same order
_COLUMNS = 256  # of a program: in half precision, a warp loads one row of them in one instruction of 16 bytes a thread
_TILE_ROWS = 16
_NUM_WARPS = 8


@triton.jit(do_not_specialize=["rows"])
def relu_gradient(
    grad_out_ptr, out_ptr, grad_ptr, sums_ptr, rows, columns, scale,
    BLOCK_ROWS: tl.constexpr, TILE: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Mask and scale the gradient of one block of rows and columns, tile by tile, and sum its columns."""
    column_blocks = tl.cdiv(columns, COLUMNS)
    block = tl.program_id(0) // column_blocks
    column = tl.program_id(0) % column_blocks * COLUMNS + tl.arange(0, COLUMNS)
    first = block * BLOCK_ROWS
    start = first.to(tl.int64) * columns  # the offset of a block has 64 bits; those inside it need 32
    total = tl.zeros([TILE, COLUMNS], tl.float32)
    for tile in tl.static_range(0, BLOCK_ROWS, TILE):
        row = tile + tl.arange(0, TILE)
        element = row[:, None] * columns + column[None, :]
        is_inside = (row < rows - first)[:, None] & (column < columns)[None, :]
        grad = tl.load(grad_out_ptr + start + element, mask=is_inside, other=0.0).to(tl.float32)
        out = tl.load(out_ptr + start + element, mask=is_inside, other=0.0).to(tl.float32)
        grad = tl.where(out <= 0.0, 0.0, grad * scale)  # where the result is NaN, the gradient passes, as in torch
        tl.store(grad_ptr + start + element, grad.to(grad_ptr.dtype.element_ty), mask=is_inside)
        total += grad
    tl.store(sums_ptr + block.to(tl.int64) * columns + column, tl.sum(total, 0), mask=column < columns)


@torch.library.custom_op("translator::relu_gradient", mutates_args=())
def _relu_gradient(grad_out: Tensor, out: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return the gradient before ReLU and dropout, and its column sums by blocks of rows.

    Args:
        grad_out: gradient of the result, `(rows, columns)`.
        out: result of ReLU and dropout, the same shape and dtype.
        scale: factor of dropout on what it keeps; 1.0 without dropout.

    Returns:
        `(rows, columns)` in the dtype of `grad_out`, and `(blocks, columns)` float32.
    """
    grad_out, out = grad_out.contiguous(), out.contiguous()
    rows, columns = out.shape
    grad, sums = torch.empty_like(grad_out), out.new_empty(triton.cdiv(rows, _BLOCK_ROWS), columns, dtype=torch.float32)
    if out.numel():
        with on_device_of(out):
            relu_gradient[(len(sums) * triton.cdiv(columns, _COLUMNS),)](
                *(grad_out, out, grad, sums, rows, columns, scale),
                BLOCK_ROWS=_BLOCK_ROWS,
                TILE=_TILE_ROWS,
                COLUMNS=_COLUMNS,
                num_warps=_NUM_WARPS,
            )
    return grad, sums


@_relu_gradient.register_fake
def _(grad_out: Tensor, out: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    num_blocks = (out.shape[0] + _BLOCK_ROWS - 1) // _BLOCK_ROWS
    gradient = torch.empty_like(grad_out, memory_format=torch.contiguous_format)
    return gradient, out.new_empty(num_blocks, out.shape[1], dtype=torch.float32)


class _ReluLinear(torch.autograd.Function):
    """The operator with its gradients. The input, the weight and the result are kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, keys: Tensor | None, dropout_p: float) -> Tensor:
        """Return the result, `(rows, out_features)`."""
        out = torch._addmm_activation(bias, x, weight.t())
        if keys is not None:
            out = keyed_dropout(out, keys, dropout_p)
        ctx.save_for_backward(x, weight, out)
        ctx.scale = 1.0 if keys is None else 1 / (1 - dropout_p)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of `x`, the weight and the bias."""
        x, weight, out = ctx.saved_tensors
        grad, sums = _relu_gradient(grads[0], out, ctx.scale)
        return grad @ weight, grad.t() @ x, sums.sum(dim=0).to(grad.dtype), None, None


def triton_relu_linear(x: Tensor, weight: Tensor, bias: Tensor, keys: Tensor | None, dropout_p: float) -> Tensor:
    """Linear layer, ReLU and dropout; arguments as in `kernels.relu_linear`."""
    out: Tensor = _ReluLinear.apply(x, weight, bias, keys, dropout_p)
    return out
