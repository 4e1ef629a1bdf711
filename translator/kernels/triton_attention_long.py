"""Attention of sequences of any length: tiles of queries against tiles of keys, with an online softmax.

The algorithm is FlashAttention-2 (Dao, 2023). Gradients of queries, and of keys and values, have separate kernels, so
that no two programs add to one number and repeated runs give the same bits.

Tiles are counted from the start of each sequence, so that its result does not depend on its offset. A program for each
sequence and each tile of the longest possible one would start thousands that return at once. Instead program i computes
the tiles that begin in the packed rows `i * BLOCK ... (i + 1) * BLOCK - 1`: one tile of a long sequence, several tiles
of adjacent short ones (few queries over many keys), none of sequences of up to SHORT tokens (short path).
"""

from __future__ import annotations

import triton
import triton.language as tl

from translator.kernels.triton_tiles import (
    RUNTIME_NUMBERS,
    Dropout,
    Rows,
    dropout_factors,
    first_tile,
    load_tile,
    program_window,
    sequence_bounds,
    softmax_step,
    store_numbers,
    store_tile,
    visible_scores,
)


@triton.jit
def keys_end(first, num_queries, num_keys, BLOCK_Q: tl.constexpr, CAUSAL: tl.constexpr):
    """Return the end of the keys that are visible to the tile of queries from `first` on; later keys are not read."""
    end = num_keys
    if CAUSAL:
        end = tl.minimum(num_keys, first + BLOCK_Q + num_keys - num_queries)
    return end


@triton.jit
def _attend(
    q,
    first,
    num_queries,
    k_rows,
    v_rows,
    dropout,
    log2_scale,
    CAUSAL: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Return the output `(BLOCK_Q, padded HEAD_DIM)` of a tile of queries, and log2 of the softmax denominators."""
    BLOCK_Q: tl.constexpr = q.shape[0]
    highest = tl.full([BLOCK_Q], -float("inf"), tl.float32)
    total = tl.zeros([BLOCK_Q], tl.float32)
    out = tl.zeros(q.shape, tl.float32)
    num_keys = k_rows.length
    for key in range(0, keys_end(first, num_queries, num_keys, BLOCK_Q, CAUSAL), BLOCK_K):
        k = load_tile(k_rows, key, BLOCK_K, HEAD_DIM)
        v = load_tile(v_rows, key, BLOCK_K, HEAD_DIM)
        scores, visible = visible_scores(q, k, first, key, num_queries, num_keys, log2_scale, CAUSAL)
        scores = tl.where(visible, scores, -float("inf"))
        weights, correction, highest, total = softmax_step(scores, highest, total)
        weights *= dropout_factors(dropout, first, key, BLOCK_Q, BLOCK_K)
        out = tl.dot(weights.to(v.dtype), v, out * correction[:, None], input_precision="ieee")
    has_key = total > 0.0
    divisor = tl.where(has_key, total, 1.0)
    log_sum = tl.where(has_key, highest + tl.log2(divisor), 0.0)
    return out * (1.0 / divisor)[:, None], log_sum


@triton.jit(do_not_specialize=RUNTIME_NUMBERS)
def long_forward(
    q_ptr,
    k_ptr,
    v_ptr,
    out_ptr,
    log_sum_ptr,
    cu_seqlens_q_ptr,
    cu_seqlens_k_ptr,
    seeds_ptr,
    num_sequences,
    num_q_tokens,
    log2_scale,
    drop_below,
    keep_scale,
    CAUSAL: tl.constexpr,
    IS_DROPPING: tl.constexpr,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    Q_TOKEN_STRIDE: tl.constexpr,
    Q_HEAD_STRIDE: tl.constexpr,
    K_TOKEN_STRIDE: tl.constexpr,
    K_HEAD_STRIDE: tl.constexpr,
    V_TOKEN_STRIDE: tl.constexpr,
    V_HEAD_STRIDE: tl.constexpr,
    SHORT: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Compute the output and, for the backward pass, log2 of the softmax denominators, `(heads, num_q_tokens)`."""
    head = tl.program_id(1)
    window, window_end, sequence, q_start = program_window(cu_seqlens_q_ptr, num_sequences, BLOCK_Q)
    while q_start < window_end:
        q_end = tl.load(cu_seqlens_q_ptr + sequence + 1)
        num_queries = q_end - q_start
        k_start, num_keys = sequence_bounds(cu_seqlens_k_ptr, sequence)
        first = first_tile(window, q_start, BLOCK_Q)
        if (tl.maximum(num_queries, num_keys) > SHORT) & (first < num_queries):
            q_rows = Rows(q_ptr + head * Q_HEAD_STRIDE, Q_TOKEN_STRIDE, q_start, num_queries)
            k_rows = Rows(k_ptr + head * K_HEAD_STRIDE, K_TOKEN_STRIDE, k_start, num_keys)
            v_rows = Rows(v_ptr + head * V_HEAD_STRIDE, V_TOKEN_STRIDE, k_start, num_keys)
            q = load_tile(q_rows, first, BLOCK_Q, HEAD_DIM)
            dropout = Dropout(tl.load(seeds_ptr + sequence), head, drop_below, keep_scale) if IS_DROPPING else None
            out, log_sum = _attend(
                q, first, num_queries, k_rows, v_rows, dropout, log2_scale, CAUSAL, HEAD_DIM, BLOCK_K
            )
            out_rows = Rows(out_ptr + head * HEAD_DIM, HEADS * HEAD_DIM, q_start, num_queries)
            store_tile(out_rows, first, out, HEAD_DIM)
            head_log_sum_ptr = log_sum_ptr + head.to(tl.int64) * num_q_tokens
            store_numbers(head_log_sum_ptr + q_start, first, num_queries, log_sum)
        sequence += 1
        q_start = q_end
