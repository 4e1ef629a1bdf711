"""Keyed dropout on CUDA in eager mode, with its residual connection, in one pass; see `dropout`."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from translator.kernels.counter_dropout import drop_threshold
from translator.kernels.dropout import COLUMN_STEP, COLUMNS_PER_STATE, MIX_FACTORS, MIX_SHIFTS
from translator.kernels.triton_tiles import on_device_of

_BLOCK = 1024
_COLUMN_STEP = tl.constexpr(COLUMN_STEP)
_COLUMNS_PER_STATE = tl.constexpr(COLUMNS_PER_STATE)
_FACTOR_1, _FACTOR_2 = tl.constexpr(MIX_FACTORS[0]), tl.constexpr(MIX_FACTORS[1])
_SHIFT_1, _SHIFT_2, _SHIFT_3 = (tl.constexpr(shift) for shift in MIX_SHIFTS)


@triton.jit
def _kernel(
    x_ptr, keys_ptr, residual_ptr, out_ptr, size, columns, drop_below, keep_scale,
    HAS_RESIDUAL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write `residual + dropout(x)` of one block of elements."""
    element = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    is_inside = element < size
    row = element // columns
    column = element - row * columns
    state = tl.load(keys_ptr + row, mask=is_inside, other=0).to(tl.uint64)
    state += (column // _COLUMNS_PER_STATE + 1).to(tl.uint64) * tl.full((1,), _COLUMN_STEP, tl.uint64)
    state = (state ^ (state >> _SHIFT_1)) * tl.full((1,), _FACTOR_1, tl.uint64)
    state = (state ^ (state >> _SHIFT_2)) * tl.full((1,), _FACTOR_2, tl.uint64)
    state = state ^ (state >> _SHIFT_3)
    bits = (state >> (column % _COLUMNS_PER_STATE * 16).to(tl.uint64)) & 0xFFFF
    x = tl.load(x_ptr + element, mask=is_inside, other=0.0).to(tl.float32)
    out = tl.where(bits.to(tl.int32) >= drop_below, x * keep_scale, 0.0)
    if HAS_RESIDUAL:
        out += tl.load(residual_ptr + element, mask=is_inside, other=0.0).to(tl.float32)
    tl.store(out_ptr + element, out.to(out_ptr.dtype.element_ty), mask=is_inside)


@torch.library.custom_op("translator::keyed_dropout", mutates_args=())
def _launch(x: Tensor, keys: Tensor, dropout_p: float, residual: Tensor | None) -> Tensor:
    """Return `residual + dropout(x)`, in the dtype of the residual, or of `x` without one."""
    x, keys = x.contiguous(), keys.contiguous()
    residual = None if residual is None else residual.contiguous()
    out = torch.empty_like(x if residual is None else residual)  # contiguous, as they are
    if x.numel():
        numbers = (x.numel(), x.shape[1], drop_threshold(dropout_p), 1 / (1 - dropout_p))
        with on_device_of(x):
            _kernel[(triton.cdiv(x.numel(), _BLOCK),)](
                x, keys, x if residual is None else residual, out, *numbers, residual is not None, _BLOCK
            )
    return out


@_launch.register_fake
def _(x: Tensor, keys: Tensor, dropout_p: float, residual: Tensor | None) -> Tensor:
    return torch.empty_like(x if residual is None else residual, memory_format=torch.contiguous_format)


class _Dropout(torch.autograd.Function):
    """Dropout whose mask is computed again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: Tensor, dropout_p: float, residual: Tensor | None) -> Tensor:
        """Return the result; only the keys are kept for the backward pass."""
        ctx.save_for_backward(keys)
        ctx.dropout_p, ctx.dtype, ctx.has_residual = dropout_p, x.dtype, residual is not None
        return _launch(x, keys, dropout_p, residual)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of `x` and of the residual."""
        (keys,) = ctx.saved_tensors
        grad = _launch(grads[0], keys, ctx.dropout_p, None).to(ctx.dtype)
        return grad, None, None, grads[0] if ctx.has_residual else None


def triton_dropout(x: Tensor, keys: Tensor, dropout_p: float, residual: Tensor | None = None) -> Tensor:
    """Dropout with a residual connection; arguments as in `dropout.keyed_dropout`."""
    dropped: Tensor = _Dropout.apply(x, keys, dropout_p, residual)
    return dropped
