"""Attention for sequences of any length: tiles of queries against tiles of keys, with an online softmax.

After FlashAttention-2 (Dao, 2023), with the gradients of queries and of keys and values in kernels of their own, so
that no two programs add to one number and repeated runs give the same bits.

Tiles are counted from the start of each sequence, so that its bits do not depend on its offset. Launching a program for
each sequence and each tile that the longest could have would start thousands that return at once. Instead program i
takes the tiles that begin in the packed rows `i * BLOCK ... (i + 1) * BLOCK - 1`: one of a long sequence, several where
short ones (few queries over many keys) lie side by side, none among sequences of up to SHORT tokens, which
triton_attention_short.py serves.
"""

from __future__ import annotations

import triton
import triton.language as tl

from translator.kernels.triton_tiles import (
    RUNTIME_NUMBERS,
    first_sequence_past,
    first_tile,
    keep_tile,
    load_tile,
    sequence_bounds,
    store_tile,
    visible_tile,
)


@triton.jit
def _attend(
    q,
    k_ptr,
    v_ptr,
    seed,
    sequence,
    head,
    first,
    num_queries,
    k_start,
    num_keys,
    k_stride_token,
    v_stride_token,
    log2_scale,
    drop_below,
    keep_scale,
    CAUSAL: tl.constexpr,
    IS_DROPPING: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Output `(BLOCK_Q, BLOCK_D)` of one tile of queries, and the binary logarithms of its softmax denominators."""
    highest = tl.full([BLOCK_Q], -float("inf"), tl.float32)
    total = tl.zeros([BLOCK_Q], tl.float32)
    out = tl.zeros([BLOCK_Q, BLOCK_D], tl.float32)
    keys_end = num_keys
    if CAUSAL:
        keys_end = tl.minimum(num_keys, first + BLOCK_Q + num_keys - num_queries)
    for key in range(0, keys_end, BLOCK_K):
        rows_left = num_keys - key
        k = load_tile(k_ptr, k_start + key, rows_left, k_stride_token, BLOCK_K, HEAD_DIM, BLOCK_D)
        v = load_tile(v_ptr, k_start + key, rows_left, v_stride_token, BLOCK_K, HEAD_DIM, BLOCK_D)
        visible = visible_tile(first, key, num_queries, num_keys, CAUSAL, BLOCK_Q, BLOCK_K)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * log2_scale
        scores = tl.where(visible, scores, -float("inf"))
        new_highest = tl.maximum(highest, tl.max(scores, 1))
        shift = tl.where(new_highest == -float("inf"), 0.0, new_highest)
        weights = tl.exp2(scores - shift[:, None])
        correction = tl.exp2(highest - shift)
        total = total * correction + tl.sum(weights, 1)
        if IS_DROPPING:
            keep = keep_tile(seed, sequence, head, first, key, drop_below, BLOCK_Q, BLOCK_K)
            weights = tl.where(keep, weights, 0.0)
        out = tl.dot(weights.to(v.dtype), v, out * correction[:, None], input_precision="ieee")
        highest = new_highest
    has_key = total > 0.0
    divisor = tl.where(has_key, total, 1.0)
    log_sum = tl.where(has_key, highest + tl.log2(divisor), 0.0)
    if IS_DROPPING:
        divisor = divisor / keep_scale
    return out / divisor[:, None], log_sum


@triton.jit(do_not_specialize=RUNTIME_NUMBERS)
def long_forward(
    q_ptr,
    k_ptr,
    v_ptr,
    out_ptr,
    log_sum_ptr,
    cu_seqlens_q_ptr,
    cu_seqlens_k_ptr,
    seed_ptr,
    q_stride_token,
    q_stride_head,
    k_stride_token,
    k_stride_head,
    v_stride_token,
    v_stride_head,
    num_heads,
    num_sequences,
    num_q_tokens,
    log2_scale,
    drop_below,
    keep_scale,
    CAUSAL: tl.constexpr,
    IS_DROPPING: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    SHORT: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Output, and for the backward pass the binary logarithm of each softmax's denominator, `(heads, num_q_tokens)`."""
    head = tl.program_id(1)
    seed = tl.load(seed_ptr) if IS_DROPPING else 0
    window = tl.program_id(0) * BLOCK_Q
    window_end = tl.minimum(window + BLOCK_Q, tl.load(cu_seqlens_q_ptr + num_sequences))
    sequence = first_sequence_past(cu_seqlens_q_ptr, num_sequences, window)
    q_start = tl.load(cu_seqlens_q_ptr + sequence)
    while q_start < window_end:
        q_end = tl.load(cu_seqlens_q_ptr + sequence + 1)
        num_queries = q_end - q_start
        k_start, num_keys = sequence_bounds(cu_seqlens_k_ptr, sequence)
        first = first_tile(window, q_start, BLOCK_Q)
        if (tl.maximum(num_queries, num_keys) > SHORT) & (first < num_queries):
            row, rows_left = q_start + first, num_queries - first
            q_head_ptr = q_ptr + head * q_stride_head
            q = load_tile(q_head_ptr, row, rows_left, q_stride_token, BLOCK_Q, HEAD_DIM, BLOCK_D)
            out, log_sum = _attend(
                q,
                k_ptr + head * k_stride_head,
                v_ptr + head * v_stride_head,
                seed,
                sequence,
                head,
                first,
                num_queries,
                k_start,
                num_keys,
                k_stride_token,
                v_stride_token,
                log2_scale,
                drop_below,
                keep_scale,
                CAUSAL,
                IS_DROPPING,
                HEAD_DIM,
                BLOCK_D,
                BLOCK_Q,
                BLOCK_K,
            )
            stride_token = num_heads * HEAD_DIM
            store_tile(out_ptr + head * HEAD_DIM, out, row, rows_left, stride_token, BLOCK_Q, HEAD_DIM, BLOCK_D)
            index = tl.arange(0, BLOCK_Q)
            row_ptr = log_sum_ptr + head.to(tl.int64) * num_q_tokens + row
            tl.store(row_ptr + index, log_sum, mask=index < rows_left)
        sequence += 1
        q_start = q_end
