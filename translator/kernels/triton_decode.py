"""Attention of one new token per row in Triton: over a static cache, and over the encoder's output.

When beam search reorders hypotheses, the cache is not copied: each row finds its history through an index, its
ancestry. Up to 16 beams of a sentence read its keys and values once, as one tile of queries. If rows are few, the keys
are split among programs, as in Flash-Decoding (Dao et al., 2023), and a second kernel merges the results. Everything
that changes between steps is read on the device, so that one CUDA graph can be replayed for every step.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from translator.kernels.triton_tiles import Rows, load_tile, on_device_of, padded, softmax_step

_BLOCK = 32  # keys per tile
_BEAMS = 16  # beams per tile, the minimum of a matrix instruction
_MIN_PROGRAMS = 512  # about two per multiprocessor of the largest GPUs
_MIN_SPLITS = 16  # of the kernel that merges them: one variant serves all smaller numbers

# Integers that change between searches. If the compiler specialized on them (1, multiples of 16), each new number of
# sentences or beams could compile the kernels once more, for up to a second each.
_SIZES = ["beams", "num_rows_and_heads", "keys_in_split", "splits"]
_ANY_ALIGNMENT = ["starts_ptr", "lengths_ptr"]  # parts of one tensor, read one number at a time


class _Results(NamedTuple):
    """Destination of the result of a row and head: the output, or the partial results for `merge`.

    Attributes:
        out_ptr: `(num_rows_and_heads, HEAD_DIM)`.
        partial_ptr: `(splits, num_rows_and_heads, HEAD_DIM)` sums of weighted values; None with one split.
        peak_ptr: `(splits, num_rows_and_heads, 2)` highest scores and sums of the weights; None with one split.
        num_rows_and_heads: number of rows times heads.
    """

    out_ptr: Any
    partial_ptr: Any
    peak_ptr: Any
    num_rows_and_heads: Any


@triton.jit
def _store(results, row_and_head, mask, out, highest, total, IS_SPLIT: tl.constexpr, HEAD_DIM: tl.constexpr):
    """Store the output `(M, padded HEAD_DIM)` of M rows and heads, or the partial results for `merge`."""
    column = tl.arange(0, padded(HEAD_DIM))
    mask_2d = mask[:, None] & (column < HEAD_DIM)[None, :]
    total_or_one = tl.where(total == 0.0, 1.0, total)
    if IS_SPLIT:
        split = tl.program_id(1)
        place = split.to(tl.int64) * results.num_rows_and_heads + row_and_head
        tl.store(results.partial_ptr + place[:, None] * HEAD_DIM + column[None, :], out, mask=mask_2d)
        tl.store(results.peak_ptr + place * 2, highest, mask=mask)
        tl.store(results.peak_ptr + place * 2 + 1, total, mask=mask)
    else:
        offset = row_and_head.to(tl.int64)[:, None] * HEAD_DIM + column[None, :]
        out = out / total_or_one[:, None]
        tl.store(results.out_ptr + offset, out.to(results.out_ptr.dtype.element_ty), mask=mask_2d)


@triton.jit
def _load_history(ptr, position, slot, mask, stride_position, stride_slot, HEAD_DIM: tl.constexpr):
    """Load one head of the cache at positions and slots, `(positions, padded HEAD_DIM)` float32."""
    column = tl.arange(0, padded(HEAD_DIM))
    offset = position.to(tl.int64) * stride_position + slot * stride_slot
    mask_2d = mask[:, None] & (column < HEAD_DIM)[None, :]
    return tl.load(ptr + offset[:, None] + column[None, :], mask=mask_2d, other=0.0).to(tl.float32)


@triton.jit(do_not_specialize=_SIZES)
def self_attention(
    q_ptr,
    k_ptr,
    v_ptr,
    ancestry_ptr,
    length_ptr,
    out_ptr,
    partial_ptr,
    peak_ptr,
    q_stride_row,
    q_stride_head,
    k_stride_position,
    k_stride_slot,
    k_stride_head,
    v_stride_position,
    v_stride_slot,
    v_stride_head,
    ancestry_stride,
    num_heads,
    num_rows_and_heads,
    keys_in_split,
    log2_scale,
    IS_SPLIT: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Attention of one query to its history; one program per row, head and split."""
    row = tl.program_id(0) // num_heads
    head = tl.program_id(0) % num_heads
    column = tl.arange(0, padded(HEAD_DIM))
    q_offset = row.to(tl.int64) * q_stride_row + head * q_stride_head
    q = tl.load(q_ptr + q_offset + column, mask=column < HEAD_DIM, other=0.0).to(tl.float32) * log2_scale
    begin = tl.program_id(1) * keys_in_split
    end = tl.minimum(begin + keys_in_split, tl.load(length_ptr))
    highest = tl.full([1], -float("inf"), tl.float32)
    total = tl.zeros([1], tl.float32)
    out = tl.zeros([1, padded(HEAD_DIM)], tl.float32)
    for first in range(begin, end, BLOCK):
        position = first + tl.arange(0, BLOCK)
        mask = position < end
        slot = row
        if ancestry_ptr is not None:
            slot = tl.load(ancestry_ptr + row.to(tl.int64) * ancestry_stride + position, mask=mask, other=0)
        slot = slot.to(tl.int64)
        history = (position, slot, mask)
        k = _load_history(k_ptr + head * k_stride_head, *history, k_stride_position, k_stride_slot, HEAD_DIM)
        v = _load_history(v_ptr + head * v_stride_head, *history, v_stride_position, v_stride_slot, HEAD_DIM)
        scores = tl.where(mask, tl.sum(k * q[None, :], 1), -float("inf"))
        new_highest = tl.maximum(highest, tl.max(scores, 0))
        correction = tl.exp2(highest - new_highest)
        weights = tl.exp2(scores - new_highest)
        total = total * correction + tl.sum(weights, 0)
        out = out * correction[:, None] + tl.sum(weights[:, None] * v, 0)[None, :]
        highest = new_highest
    row_and_head = tl.program_id(0) + tl.arange(0, 1)
    results = _Results(out_ptr, partial_ptr, peak_ptr, num_rows_and_heads)
    _store(results, row_and_head, row_and_head < num_rows_and_heads, out, highest, total, IS_SPLIT, HEAD_DIM)


@triton.jit(do_not_specialize=_SIZES, do_not_specialize_on_alignment=_ANY_ALIGNMENT)
def cross_attention(
    q_ptr,
    k_ptr,
    v_ptr,
    starts_ptr,
    lengths_ptr,
    out_ptr,
    partial_ptr,
    peak_ptr,
    q_stride_row,
    q_stride_head,
    k_stride_token,
    k_stride_head,
    v_stride_token,
    v_stride_head,
    num_heads,
    beams,
    num_rows_and_heads,
    keys_in_split,
    log2_scale,
    TILE: tl.constexpr,
    IS_SPLIT: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Attention of the beams of a sentence to its keys; one program per sentence, tile of beams, head and split."""
    tiles = (beams + TILE - 1) // TILE
    sentence = tl.program_id(0) // (num_heads * tiles)
    first_beam = tl.program_id(0) // num_heads % tiles * TILE
    head = tl.program_id(0) % num_heads
    start, length = tl.load(starts_ptr + sentence), tl.load(lengths_ptr + sentence)
    begin = tl.program_id(1) * keys_in_split
    end = tl.minimum(begin + keys_in_split, length)
    q_rows = Rows(q_ptr + head * q_stride_head, q_stride_row, sentence * beams, beams)
    k_rows = Rows(k_ptr + head * k_stride_head, k_stride_token, start, end)
    v_rows = Rows(v_ptr + head * v_stride_head, v_stride_token, start, end)
    q = load_tile(q_rows, first_beam, TILE, HEAD_DIM)
    highest = tl.full([TILE], -float("inf"), tl.float32)
    total = tl.zeros([TILE], tl.float32)
    out = tl.zeros(q.shape, tl.float32)
    for first in range(begin, end, BLOCK):
        k = load_tile(k_rows, first, BLOCK, HEAD_DIM)
        v = load_tile(v_rows, first, BLOCK, HEAD_DIM)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * log2_scale
        scores = tl.where((tl.arange(0, BLOCK) < end - first)[None, :], scores, -float("inf"))
        weights, correction, highest, total = softmax_step(scores, highest, total)
        out = tl.dot(weights.to(v.dtype), v, out * correction[:, None], input_precision="ieee")
    beam = first_beam + tl.arange(0, TILE)
    row_and_head = (sentence * beams + beam) * num_heads + head
    results = _Results(out_ptr, partial_ptr, peak_ptr, num_rows_and_heads)
    _store(results, row_and_head, beam < beams, out, highest, total, IS_SPLIT, HEAD_DIM)


@triton.jit(do_not_specialize=_SIZES)
def merge(
    out_ptr,
    partial_ptr,
    peak_ptr,
    num_rows_and_heads,
    splits,
    BLOCK_SPLITS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
):
    """Compute the output of one row and head from its splits."""
    split = tl.arange(0, BLOCK_SPLITS)
    column = tl.arange(0, padded(HEAD_DIM))
    place = split.to(tl.int64) * num_rows_and_heads + tl.program_id(0)
    highest = tl.load(peak_ptr + place * 2, mask=split < splits, other=-float("inf"))
    total = tl.load(peak_ptr + place * 2 + 1, mask=split < splits, other=0.0)
    peak = tl.max(highest, 0)
    factor = tl.exp2(highest - tl.where(peak == -float("inf"), 0.0, peak))  # 0 for a split without keys
    mask = (split < splits)[:, None] & (column < HEAD_DIM)[None, :]
    partial = tl.load(partial_ptr + place[:, None] * HEAD_DIM + column[None, :], mask=mask, other=0.0)
    total_of_all = tl.sum(total * factor, 0)
    out = tl.sum(partial * factor[:, None], 0) / tl.where(total_of_all == 0.0, 1.0, total_of_all)
    offset = tl.program_id(0).to(tl.int64) * HEAD_DIM + column
    tl.store(out_ptr + offset, out.to(out_ptr.dtype.element_ty), mask=column < HEAD_DIM)


@torch.library.custom_op("translator::triton_decode_attention", mutates_args=())
def triton_decode_attention(
    q: Tensor, keys: Tensor, values: Tensor, length: Tensor, ancestry: Tensor | None, scale: float
) -> Tensor:
    """Self-attention of `kernels.decode_attention` in Triton."""
    rows, heads, head_dim = q.shape
    capacity = keys.shape[0]
    splits, keys_in_split = _split(rows * heads, capacity)
    out, partial, peak = _buffers(q, splits)
    ancestry_stride = 0 if ancestry is None else ancestry.stride(0)
    with on_device_of(q):
        self_attention[(rows * heads, splits)](
            *(q, keys, values, ancestry, length, out, partial, peak),
            *(*q.stride()[:2], *keys.stride()[:3], *values.stride()[:3], ancestry_stride),
            *(heads, rows * heads, keys_in_split, scale * math.log2(math.e)),
            IS_SPLIT=splits > 1,
            HEAD_DIM=head_dim,
            BLOCK=_BLOCK,
            num_warps=2,
        )
        _merge(out, partial, peak, splits)
    return out


@triton_decode_attention.register_fake
def _(q: Tensor, keys: Tensor, values: Tensor, length: Tensor, ancestry: Tensor | None, scale: float) -> Tensor:
    return torch.empty(q.shape, dtype=q.dtype, device=q.device)


@torch.library.custom_op("translator::triton_decode_cross_attention", mutates_args=())
def triton_decode_cross_attention(
    q: Tensor, keys: Tensor, values: Tensor, starts: Tensor, lengths: Tensor, max_seqlen: int, scale: float
) -> Tensor:
    """`kernels.decode_cross_attention` in Triton."""
    rows, heads, head_dim = q.shape
    sentences = starts.shape[0]
    beams = rows // max(1, sentences)
    programs = sentences * triton.cdiv(beams, _BEAMS) * heads
    splits, keys_in_split = _split(programs, max_seqlen)
    out, partial, peak = _buffers(q, splits)
    with on_device_of(q):
        cross_attention[(programs, splits)](
            *(q, keys, values, starts, lengths, out, partial, peak),
            *(*q.stride()[:2], *keys.stride()[:2], *values.stride()[:2]),
            *(heads, beams, rows * heads, keys_in_split, scale * math.log2(math.e)),
            TILE=_BEAMS,
            IS_SPLIT=splits > 1,
            HEAD_DIM=head_dim,
            BLOCK=_BLOCK,
            num_warps=2,
        )
        _merge(out, partial, peak, splits)
    return out


@triton_decode_cross_attention.register_fake
def _(
    q: Tensor, keys: Tensor, values: Tensor, starts: Tensor, lengths: Tensor, max_seqlen: int, scale: float
) -> Tensor:
    return torch.empty(q.shape, dtype=q.dtype, device=q.device)


def _split(programs: int, longest: int) -> tuple[int, int]:
    """Return the number of splits of the keys that occupies the GPU, and the number of keys per split.

    They depend on sizes that are constant during a search, such as the capacity of the cache, so that one CUDA graph
    can be replayed for every step.
    """
    tiles = max(1, triton.cdiv(longest, _BLOCK))
    splits = min(tiles, max(1, _MIN_PROGRAMS // max(1, programs)))
    keys_in_split = triton.cdiv(tiles, splits) * _BLOCK
    return triton.cdiv(max(1, longest), keys_in_split), keys_in_split


def _buffers(q: Tensor, splits: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return uninitialized tensors for the output and, with several splits, for their partial results."""
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    if splits == 1:
        return out, None, None
    partial = torch.empty(splits, *q.shape, dtype=torch.float32, device=q.device)
    return out, partial, torch.empty(splits, *q.shape[:2], 2, dtype=torch.float32, device=q.device)


def _merge(out: Tensor, partial: Tensor | None, peak: Tensor | None, splits: int) -> None:
    if splits == 1:
        return
    rows, heads, head_dim = out.shape
    merge[(rows * heads,)](
        *(out, partial, peak, rows * heads, splits),
        BLOCK_SPLITS=max(_MIN_SPLITS, triton.next_power_of_2(splits)),
        HEAD_DIM=head_dim,
        num_warps=2,
    )
