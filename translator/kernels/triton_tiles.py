"""Building blocks of the Triton kernels: finding a sequence, tiles, scores, softmax and dropout.

Names in capitals are compile-time constants. All arithmetic is float32: results of matrix products are float32 tiles.
Related values are passed as named tuples, which the compiler flattens at no cost.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from translator.kernels.counter_dropout import ROUNDS

# compiled once for all their values
RUNTIME_NUMBERS = ["num_sequences", "num_q_tokens", "num_k_tokens", "zeroes_longer", "drop_below", "keep_scale"]
_ROUNDS = tl.constexpr(ROUNDS)


class Rows(NamedTuple):
    """One head of one sequence in a packed tensor.

    Attributes:
        ptr: to the head's numbers in row 0 of the tensor.
        stride: from one row to the next.
        start: the first row of the sequence.
        length: rows of the sequence.
    """

    ptr: Any
    stride: Any
    start: Any
    length: Any


class Dropout(NamedTuple):
    """Inputs of dropout for one sequence and head: what determines the mask, and the factor on kept weights."""

    seed: Any
    head: Any
    drop_below: Any
    keep_scale: Any


@triton.constexpr_function
def padded(size: int) -> int:
    """Round up to a power of two that matrix instructions support."""
    return max(16, triton.next_power_of_2(size))


@triton.jit
def sequence_bounds(cu_seqlens_ptr, sequence):
    """Return the first row and the length of a sequence."""
    start = tl.load(cu_seqlens_ptr + sequence)
    return start, tl.load(cu_seqlens_ptr + sequence + 1) - start


@triton.jit
def _first_sequence_past(cu_seqlens_ptr, num_sequences, row):
    """Return the sequence that contains `row`; `num_sequences` for trailing padding."""
    low = row * 0
    high = num_sequences + low
    while low < high:
        middle = (low + high) // 2
        ends_behind = tl.load(cu_seqlens_ptr + middle + 1) > row
        high = tl.where(ends_behind, middle, high)
        low = tl.where(ends_behind, low, middle + 1)
    return low


@triton.jit
def program_window(cu_seqlens_ptr, num_sequences, BLOCK: tl.constexpr):
    """Return the begin and end of the packed rows of this program, the first sequence there, and its start."""
    window = tl.program_id(0) * BLOCK
    window_end = tl.minimum(window + BLOCK, tl.load(cu_seqlens_ptr + num_sequences))
    sequence = _first_sequence_past(cu_seqlens_ptr, num_sequences, window)
    return window, window_end, sequence, tl.load(cu_seqlens_ptr + sequence)


@triton.jit
def first_tile(window, start, BLOCK: tl.constexpr):
    """Return the first row, relative to its sequence, of the tile that begins in the window of packed rows."""
    return tl.cdiv(tl.maximum(window - start, 0), BLOCK) * BLOCK


@triton.jit
def _places(rows, first, ROWS: tl.constexpr, HEAD_DIM: tl.constexpr):
    """Return pointers to the tile from row `first` of the sequence on, and a mask of those inside the sequence.

    The row offset is one 64-bit scalar, so that offsets inside the tile fit 32 bits and need few registers.
    """
    BLOCK_D: tl.constexpr = padded(HEAD_DIM)
    row = tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK_D)
    mask = (row < rows.length - first)[:, None]
    if HEAD_DIM < BLOCK_D:
        mask = mask & (column < HEAD_DIM)[None, :]
    start_ptr = rows.ptr + (rows.start + first).to(tl.int64) * rows.stride
    return start_ptr + row[:, None] * rows.stride + column[None, :], mask


@triton.jit
def load_tile(rows, first, ROWS: tl.constexpr, HEAD_DIM: tl.constexpr):
    """Load the tile from row `first` of the sequence on, `(ROWS, padded HEAD_DIM)`, zero outside of it."""
    pointers, mask = _places(rows, first, ROWS, HEAD_DIM)
    return tl.load(pointers, mask=mask, other=0.0)


@triton.jit
def store_tile(rows, first, tile, HEAD_DIM: tl.constexpr):
    """Invert `load_tile`; nothing is written outside the sequence."""
    tile = tile.to(rows.ptr.dtype.element_ty)
    pointers, mask = _places(rows, first, tile.shape[0], HEAD_DIM)
    tl.store(pointers, tile, mask=mask)


@triton.jit
def load_numbers(ptr, first, length, ROWS: tl.constexpr):
    """Load one number per row, `(ROWS,)`, of a sequence whose first number is at `ptr`; zero after the last row."""
    row = tl.arange(0, ROWS)
    return tl.load(ptr + first + row, mask=row < length - first, other=0.0)


@triton.jit
def store_numbers(ptr, first, length, numbers):
    """Invert `load_numbers`."""
    row = tl.arange(0, numbers.shape[0])
    tl.store(ptr + first + row, numbers, mask=row < length - first)


@triton.jit
def visible_scores(q, k, first_query, first_key, num_queries, num_keys, log2_scale, CAUSAL: tl.constexpr):
    """Return the scores `(queries, keys)` of two tiles for a softmax to base 2, and a mask of visible keys.

    The mask is `(1, keys)`, or `(queries, keys)` if CAUSAL, which is aligned at the bottom right. Rows after the last
    query see keys, too. Their queries and gradients are zero, and their results are not stored.
    """
    key = first_key + tl.arange(0, k.shape[0])[None, :]
    keys_end = num_keys
    if CAUSAL:
        query = first_query + tl.arange(0, q.shape[0])[:, None]
        keys_end = tl.minimum(num_keys, query + 1 + num_keys - num_queries)
    visible = key < keys_end
    return tl.dot(q, tl.trans(k), input_precision="ieee") * log2_scale, visible


@triton.jit
def softmax_step(scores, highest, total):
    """Add one tile of keys to an online softmax to base 2.

    Args:
        scores: `(queries, keys)`, minus infinity for masked keys.
        highest: `(queries,)` highest scores of earlier keys, minus infinity if there are none.
        total: `(queries,)` sums of the earlier weights.

    Returns:
        The weights of the tile `(queries, keys)`, the correction factor `(queries,)` for sums over earlier weights, and
        the new `highest` and `total`.
    """
    new_highest = tl.maximum(highest, tl.max(scores, 1))
    shift = tl.where(new_highest == -float("inf"), 0.0, new_highest)
    weights = tl.exp2(scores - shift[:, None])
    correction = tl.exp2(highest - shift)
    return weights, correction, new_highest, total * correction + tl.sum(weights, 1)


@triton.jit
def dropout_factors(dropout, first_query, first_key, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return the factors of dropout on attention weights, `(ROWS, COLUMNS)`: 0 or `keep_scale`; 1.0 without dropout.

    One Philox call gives 128 bits, 16 for each of eight weights: rows i and i + 8, columns j, j + 1, j + 16 and j + 17.
    One thread holds these weights in the result of a matrix instruction. So the compiler merges the calls for them,
    which are written here once per weight, and no bits move between threads. `counter_dropout` draws the same bits in
    plain torch.
    """
    factors = 1.0
    if dropout is not None:
        query = first_query + tl.arange(0, ROWS)[:, None]
        key = first_key + tl.arange(0, COLUMNS)[None, :]
        query_group = (query >> 4 << 3) + (query & 7) + key * 0  # without bit 3
        key_group = (key >> 5 << 3) + ((key & 15) >> 1) + query * 0  # without bits 0 and 4
        a, b, c, d = tl.philox(dropout.seed, key_group, query_group, 0, dropout.head, _ROUNDS)
        is_later_row, is_later_column = query & 8 != 0, key & 16 != 0
        word = tl.where(is_later_column, tl.where(is_later_row, d, c), tl.where(is_later_row, b, a))
        bits = tl.where(key & 1 != 0, word, word << 16)  # the upper 16; those below do not change the comparison
        factors = tl.where(bits >= dropout.drop_below.to(tl.uint32) << 16, dropout.keep_scale, 0.0)
    return factors


@triton.jit
def zero_rows(rows, ROWS: tl.constexpr, HEAD_DIM: tl.constexpr):
    """Zero rows in tiles of ROWS rows."""
    zeros = tl.zeros([ROWS, padded(HEAD_DIM)], tl.float32)
    for first in range(0, rows.length, ROWS):
        store_tile(rows, first, zeros, HEAD_DIM)


def on_device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which Triton launches on the device of `x`; by default it uses the current device."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()
