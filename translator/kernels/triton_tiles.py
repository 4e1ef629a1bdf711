"""What the Triton kernels share: finding a sequence, moving tiles, masks, and the random bits of dropout.

Sizes in capitals are compile-time constants. All arithmetic is float32: tiles are widened as soon as they leave a
matrix product.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from translator.kernels.counter_dropout import ROUNDS

RUNTIME_NUMBERS = ["num_sequences", "num_q_tokens", "drop_below", "keep_scale"]  # compiled once for all their values
_ROUNDS = tl.constexpr(ROUNDS)


@triton.jit
def sequence_bounds(cu_seqlens_ptr, sequence):
    """First row of a sequence, and its length."""
    start = tl.load(cu_seqlens_ptr + sequence)
    return start, tl.load(cu_seqlens_ptr + sequence + 1) - start


@triton.jit
def first_sequence_past(cu_seqlens_ptr, num_sequences, row):
    """The first sequence that ends behind `row`, which is the one that holds it; `num_sequences` for filler rows."""
    low = row * 0
    high = num_sequences + low
    while low < high:
        middle = (low + high) // 2
        ends_behind = tl.load(cu_seqlens_ptr + middle + 1) > row
        high = tl.where(ends_behind, middle, high)
        low = tl.where(ends_behind, low, middle + 1)
    return low


@triton.jit
def first_tile(window, start, BLOCK: tl.constexpr):
    """First row, counted from the start of its sequence, of the tile that begins in the window of packed rows."""
    return tl.cdiv(tl.maximum(window - start, 0), BLOCK) * BLOCK


@triton.jit
def load_tile(
    base_ptr, first_row, num_rows, stride_token, ROWS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr
):
    """Rows of one head, `(ROWS, BLOCK_D)`; zeros from `num_rows` on and past HEAD_DIM.

    The row offset is one 64-bit scalar, so that the offsets inside the tile fit 32 bits and cost few registers.
    """
    row = tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK_D)
    mask = (row < num_rows)[:, None]
    if HEAD_DIM < BLOCK_D:
        mask = mask & (column < HEAD_DIM)[None, :]
    start_ptr = base_ptr + first_row.to(tl.int64) * stride_token
    return tl.load(start_ptr + row[:, None] * stride_token + column[None, :], mask=mask, other=0.0)


@triton.jit
def store_tile(
    base_ptr,
    tile,
    first_row,
    num_rows,
    stride_token,
    ROWS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """The inverse of `load_tile`: writes no row from `num_rows` on."""
    row = tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK_D)
    mask = (row < num_rows)[:, None]
    if HEAD_DIM < BLOCK_D:
        mask = mask & (column < HEAD_DIM)[None, :]
    start_ptr = base_ptr + first_row.to(tl.int64) * stride_token
    tile = tile.to(base_ptr.dtype.element_ty)
    tl.store(start_ptr + row[:, None] * stride_token + column[None, :], tile, mask=mask)


@triton.jit
def visible_tile(
    first_query,
    first_key,
    num_queries,
    num_keys,
    CAUSAL: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Which keys which queries see, `(ROWS, COLUMNS)`: causal attention is aligned at the bottom right."""
    query = first_query + tl.arange(0, ROWS)[:, None]
    key = first_key + tl.arange(0, COLUMNS)[None, :]
    visible = (query < num_queries) & (key < num_keys)
    if CAUSAL:
        visible = visible & (key <= query + (num_keys - num_queries))
    return visible


@triton.jit
def keep_tile(seed, sequence, head, first_query, first_key, drop_below, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Which attention weights dropout keeps, `(ROWS, COLUMNS)`; `first_key` is a multiple of 8.

    One Philox call gives 128 bits, 16 for each of eight keys side by side: a third of the arithmetic that one call for
    each weight would take. `counter_dropout` says what the counter holds and draws the same bits in plain torch.
    """
    query = first_query + tl.arange(0, ROWS)[:, None]
    group = first_key // 8 + tl.arange(0, COLUMNS // 8)[None, :]
    a, b, c, d = tl.philox(seed, group + query * 0, query + group * 0, sequence, head, _ROUNDS)
    words = tl.reshape(tl.join(tl.join(a, c), tl.join(b, d)), (ROWS, COLUMNS // 2))  # a, b, c, d side by side
    halves = tl.reshape(tl.join(words & 0xFFFF, words >> 16), (ROWS, COLUMNS))
    return halves.to(tl.int32) >= drop_below


@triton.jit(do_not_specialize=["num_sequences", "num_rows"])
def zero_filler(x_ptr, y_ptr, cu_seqlens_ptr, num_sequences, num_rows, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """Zero the rows that belong to no sequence, in one or two contiguous `(num_rows, WIDTH)`: nobody else does."""
    first_row = tl.program_id(0) * ROWS
    num_tokens = tl.load(cu_seqlens_ptr + num_sequences)
    if first_row + ROWS <= num_tokens:
        return
    BLOCK: tl.constexpr = 1024
    for start in range(0, ROWS * WIDTH, BLOCK):
        element = start + tl.arange(0, BLOCK)
        row = first_row + element // WIDTH
        mask = (element < ROWS * WIDTH) & (row >= num_tokens) & (row < num_rows)
        offset = first_row.to(tl.int64) * WIDTH + element
        zeros = tl.zeros([BLOCK], x_ptr.dtype.element_ty)
        tl.store(x_ptr + offset, zeros, mask=mask)
        if y_ptr is not None:
            tl.store(y_ptr + offset, zeros, mask=mask)


def on_device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, which need not be the one that holds the tensors."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()
