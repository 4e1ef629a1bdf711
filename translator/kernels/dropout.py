"""Dropout with a mask that is a function of keys, one key per row.

Element (row, column) is dropped or kept by 16 bits of SplitMix64 (Steele et al., 2014, "Fast splittable pseudorandom
number generators", figure 17). Four neighbouring columns share the 64 bits of one state, which is the key of the row
plus a multiple of an odd constant. If the key of a row belongs to a token of an example, the mask of the token does not
depend on the batch, the micro-batch or the rank that contains the example.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from translator.kernels.counter_dropout import drop_threshold

COLUMN_STEP = 0x9E3779B97F4A7C15  # between the states of neighbouring groups of columns
MIX_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
MIX_SHIFTS = (30, 27, 31)
_COLUMN_BITS = 2  # columns that differ in these bits alone share a state
COLUMNS_PER_STATE = 1 << _COLUMN_BITS
_WORDS_AT_ONCE = 1 << 14  # states of this many bytes / 8 stay in the cache of a core


def keep_mask(keys: Tensor, columns: int, dropout_p: float) -> Tensor:
    """Return a float32 dropout mask: 0 with probability `dropout_p` (to 1/65536), otherwise 1 / (1 - dropout_p).

    Args:
        keys: `(rows,)` int64 on the CPU.
        columns: number of columns.
        dropout_p: probability that an element is dropped.

    Returns:
        `(rows, columns)` float32 on the CPU.
    """
    threshold = np.uint16(drop_threshold(dropout_p))
    groups = -(-columns // COLUMNS_PER_STATE)
    steps = np.arange(1, groups + 1, dtype=np.uint64) * np.uint64(COLUMN_STEP)
    states = keys.numpy().view(np.uint64)
    is_kept = np.empty((len(states), columns), np.bool_)
    rows_at_once = max(1, _WORDS_AT_ONCE // max(1, groups))
    for start in range(0, len(states), rows_at_once):
        words = mixed(states[start : start + rows_at_once, None] + steps)
        bits = words.view(np.uint16)[:, :columns]
        np.greater_equal(bits, threshold, out=is_kept[start : start + rows_at_once])
    return torch.from_numpy(is_kept.view(np.uint8)) * torch.tensor(1 / (1 - dropout_p), dtype=torch.float32)


def mixed(states: np.ndarray) -> np.ndarray:
    """Replace uint64 states by the output of SplitMix64, in place, and return them."""
    shifted = np.empty_like(states)
    for shift, factor in zip(MIX_SHIFTS, MIX_FACTORS, strict=False):
        np.right_shift(states, np.uint64(shift), out=shifted)
        np.bitwise_xor(states, shifted, out=states)
        np.multiply(states, np.uint64(factor), out=states)
    np.right_shift(states, np.uint64(MIX_SHIFTS[-1]), out=shifted)
    np.bitwise_xor(states, shifted, out=states)
    return states


def keyed_dropout(x: Tensor, keys: Tensor, dropout_p: float, residual: Tensor | None = None) -> Tensor:
    """Zero each element of `x` with probability `dropout_p`, scale the others by 1 / (1 - dropout_p), add a residual.

    Args:
        x: `(rows, columns)`, floating point.
        keys: `(rows,)` int64, determines with the column what is dropped.
        dropout_p: probability that an element is dropped, to 1/65536.
        residual: `(rows, columns)`, added to the result in its dtype.

    Returns:
        `(rows, columns)`, in the dtype of `residual`, or of `x` without one.

    Raises:
        ValueError: if `keys` has another shape or dtype.
    """
    if x.ndim != 2 or keys.shape != x.shape[:1] or keys.dtype != torch.int64:
        raise ValueError(
            "x must be (rows, columns) and keys (rows,) int64. "
            f"Received: {tuple(x.shape)} and {tuple(keys.shape)} {str(keys.dtype).removeprefix('torch.')}."
        )
    if torch.compiler.is_compiling():
        dropped = torch.where(is_kept(keys, x.shape[1], dropout_p), x * (1 / (1 - dropout_p)), 0)
        return dropped if residual is None else residual + dropped
    if x.device.type == "cpu":
        mask = keep_mask(keys, x.shape[1], dropout_p).to(x.dtype)
        return x * mask if residual is None else torch.addcmul(residual, x, mask)
    if x.is_cuda:
        from translator.kernels.triton_dropout import triton_dropout  # triton is optional

        return triton_dropout(x, keys, dropout_p, residual)
    dropped = x * is_kept(keys, x.shape[1], dropout_p) * (1 / (1 - dropout_p))
    return dropped if residual is None else residual + dropped


def is_kept(keys: Tensor, columns: int, dropout_p: float) -> Tensor:
    """Return a mask of the elements that dropout keeps, `(rows, columns)` bool, in operations that a compiler fuses.

    Arguments as in `keep_mask`, on any device.
    """
    column = torch.arange(columns, device=keys.device)
    # A shift, since the compiler merges a division and the factor into one index of 32 bits, which the factor exceeds.
    state = keys[:, None] + ((column >> _COLUMN_BITS) + 1) * _signed(COLUMN_STEP)
    for shift, factor in zip(MIX_SHIFTS, MIX_FACTORS, strict=False):
        state = (state ^ _shifted(state, shift)) * _signed(factor)
    state = state ^ _shifted(state, MIX_SHIFTS[-1])
    bits = (state >> (column % COLUMNS_PER_STATE * 16)) & 0xFFFF
    return bits >= drop_threshold(dropout_p)


def _shifted(state: Tensor, shift: int) -> Tensor:
    """Shift the 64 bits of int64 numbers to the right; torch copies the sign."""
    return (state >> shift) & ((1 << (64 - shift)) - 1)


def _signed(number: int) -> int:
    """Return the int64 number with the bits of a uint64 number."""
    return number - (1 << 64) if number >> 63 else number
