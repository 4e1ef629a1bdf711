"""Gradients of `triton_attention_long` in two kernels: one program per tile of queries, or of keys and values.

No two programs add to the same number, so there are no atomics and repeated runs give the same bits.
"""

from __future__ import annotations

import triton
import triton.language as tl

from translator.kernels.triton_attention_long import keys_end
from translator.kernels.triton_tiles import (
    RUNTIME_NUMBERS,
    Dropout,
    Rows,
    dropout_factors,
    first_tile,
    load_numbers,
    load_tile,
    program_window,
    sequence_bounds,
    store_numbers,
    store_tile,
    visible_scores,
)


@triton.jit
def _query_gradient(
    q,
    grad_out,
    log_sum,
    mean_grad,
    first,
    num_queries,
    k_rows,
    v_rows,
    dropout,
    scale,
    log2_scale,
    CAUSAL: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Return the gradient `(BLOCK_Q, padded HEAD_DIM)` of the tile of queries from `first` on."""
    grad_q = tl.zeros(q.shape, tl.float32)
    num_keys = k_rows.length
    for key in range(0, keys_end(first, num_queries, num_keys, q.shape[0], CAUSAL), BLOCK_K):
        k = load_tile(k_rows, key, BLOCK_K, HEAD_DIM)
        v = load_tile(v_rows, key, BLOCK_K, HEAD_DIM)
        scores, visible = visible_scores(q, k, first, key, num_queries, num_keys, log2_scale, CAUSAL)
        weights = tl.where(visible, tl.exp2(scores - log_sum[:, None]), 0.0)
        kept_weights = weights * dropout_factors(dropout, first, key, q.shape[0], BLOCK_K)
        products = kept_weights * tl.dot(grad_out, tl.trans(v), input_precision="ieee")
        grad_scores = ((products - weights * mean_grad[:, None]) * scale).to(k.dtype)
        grad_q = tl.dot(grad_scores, k, grad_q, input_precision="ieee")
    return grad_q


@triton.jit(do_not_specialize=RUNTIME_NUMBERS)
def long_backward_queries(
    grad_out_ptr,
    out_ptr,
    q_ptr,
    k_ptr,
    v_ptr,
    grad_q_ptr,
    log_sum_ptr,
    mean_grad_ptr,
    cu_seqlens_q_ptr,
    cu_seqlens_k_ptr,
    seeds_ptr,
    num_sequences,
    num_q_tokens,
    scale,
    log2_scale,
    drop_below,
    keep_scale,
    CAUSAL: tl.constexpr,
    IS_DROPPING: tl.constexpr,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    GRAD_OUT_TOKEN_STRIDE: tl.constexpr,
    GRAD_OUT_HEAD_STRIDE: tl.constexpr,
    Q_TOKEN_STRIDE: tl.constexpr,
    Q_HEAD_STRIDE: tl.constexpr,
    K_TOKEN_STRIDE: tl.constexpr,
    K_HEAD_STRIDE: tl.constexpr,
    V_TOKEN_STRIDE: tl.constexpr,
    V_HEAD_STRIDE: tl.constexpr,
    Q_PARTS: tl.constexpr,
    SHORT: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Compute the gradient of queries, and for the next kernel rowsum(dO O) = rowsum(P dP), `(heads, num_q_tokens)`."""
    head = tl.program_id(1)
    first_column, stride_token = head * HEAD_DIM, HEADS * HEAD_DIM  # of the output
    window, window_end, sequence, q_start = program_window(cu_seqlens_q_ptr, num_sequences, BLOCK_Q)
    while q_start < window_end:
        q_end = tl.load(cu_seqlens_q_ptr + sequence + 1)
        num_queries = q_end - q_start
        k_start, num_keys = sequence_bounds(cu_seqlens_k_ptr, sequence)
        first = first_tile(window, q_start, BLOCK_Q)
        if (tl.maximum(num_queries, num_keys) > SHORT) & (first < num_queries):
            grad_ptr = grad_out_ptr + head * GRAD_OUT_HEAD_STRIDE
            grad_out_rows = Rows(grad_ptr, GRAD_OUT_TOKEN_STRIDE, q_start, num_queries)
            out_rows = Rows(out_ptr + first_column, stride_token, q_start, num_queries)
            q_rows = Rows(q_ptr + head * Q_HEAD_STRIDE, Q_TOKEN_STRIDE, q_start, num_queries)
            k_rows = Rows(k_ptr + head * K_HEAD_STRIDE, K_TOKEN_STRIDE, k_start, num_keys)
            v_rows = Rows(v_ptr + head * V_HEAD_STRIDE, V_TOKEN_STRIDE, k_start, num_keys)
            grad_out = load_tile(grad_out_rows, first, BLOCK_Q, HEAD_DIM)
            out = load_tile(out_rows, first, BLOCK_Q, HEAD_DIM)
            mean_grad = tl.sum(grad_out.to(tl.float32) * out.to(tl.float32), 1)
            first_number = head.to(tl.int64) * num_q_tokens + q_start
            store_numbers(mean_grad_ptr + first_number, first, num_queries, mean_grad)
            log_sum = load_numbers(log_sum_ptr + first_number, first, num_queries, BLOCK_Q)
            q = load_tile(q_rows, first, BLOCK_Q, HEAD_DIM)
            dropout = Dropout(tl.load(seeds_ptr + sequence), head, drop_below, keep_scale) if IS_DROPPING else None
            queries = (q, grad_out, log_sum, mean_grad, first, num_queries)
            grad_q = _query_gradient(*queries, k_rows, v_rows, dropout, scale, log2_scale, CAUSAL, HEAD_DIM, BLOCK_K)
            grad_q_rows = Rows(grad_q_ptr + first_column, stride_token * Q_PARTS, q_start, num_queries)
            store_tile(grad_q_rows, first, grad_q, HEAD_DIM)
        sequence += 1
        q_start = q_end


@triton.jit
def _key_gradients(
    k,
    v,
    first,
    num_keys,
    q_rows,
    grad_out_rows,
    log_sum_ptr,
    mean_grad_ptr,
    dropout,
    scale,
    log2_scale,
    CAUSAL: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_Q: tl.constexpr,
):
    """Return the gradients of a tile of keys and of its values, each `(BLOCK_K, padded HEAD_DIM)`."""
    grad_k = tl.zeros(k.shape, tl.float32)
    grad_v = tl.zeros(v.shape, tl.float32)
    num_queries = q_rows.length
    queries_begin = 0
    if CAUSAL:  # the first query that sees the first key of the tile, down to a whole tile
        queries_begin = tl.maximum(first + num_queries - num_keys, 0) // BLOCK_Q * BLOCK_Q
    for query in range(queries_begin, num_queries, BLOCK_Q):
        q = load_tile(q_rows, query, BLOCK_Q, HEAD_DIM)
        grad_out = load_tile(grad_out_rows, query, BLOCK_Q, HEAD_DIM)
        log_sum = load_numbers(log_sum_ptr, query, num_queries, BLOCK_Q)
        mean_grad = load_numbers(mean_grad_ptr, query, num_queries, BLOCK_Q)
        scores, visible = visible_scores(q, k, query, first, num_queries, num_keys, log2_scale, CAUSAL)
        weights = tl.where(visible, tl.exp2(scores - log_sum[:, None]), 0.0)
        kept_weights = weights * dropout_factors(dropout, query, first, BLOCK_Q, k.shape[0])
        grad_v = tl.dot(tl.trans(kept_weights.to(grad_out.dtype)), grad_out, grad_v, input_precision="ieee")
        products = kept_weights * tl.dot(grad_out, tl.trans(v), input_precision="ieee")
        grad_scores = ((products - weights * mean_grad[:, None]) * scale).to(q.dtype)
        grad_k = tl.dot(tl.trans(grad_scores), q, grad_k, input_precision="ieee")
    return grad_k, grad_v


@triton.jit(do_not_specialize=RUNTIME_NUMBERS)
def long_backward_keys(
    grad_out_ptr,
    q_ptr,
    k_ptr,
    v_ptr,
    grad_k_ptr,
    grad_v_ptr,
    log_sum_ptr,
    mean_grad_ptr,
    cu_seqlens_q_ptr,
    cu_seqlens_k_ptr,
    seeds_ptr,
    num_sequences,
    num_q_tokens,
    scale,
    log2_scale,
    drop_below,
    keep_scale,
    CAUSAL: tl.constexpr,
    IS_DROPPING: tl.constexpr,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    GRAD_OUT_TOKEN_STRIDE: tl.constexpr,
    GRAD_OUT_HEAD_STRIDE: tl.constexpr,
    Q_TOKEN_STRIDE: tl.constexpr,
    Q_HEAD_STRIDE: tl.constexpr,
    K_TOKEN_STRIDE: tl.constexpr,
    K_HEAD_STRIDE: tl.constexpr,
    V_TOKEN_STRIDE: tl.constexpr,
    V_HEAD_STRIDE: tl.constexpr,
    K_PARTS: tl.constexpr,
    V_PARTS: tl.constexpr,
    SHORT: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Compute the gradients of keys and values; a program holds one tile and iterates over the queries."""
    head = tl.program_id(1)
    window, window_end, sequence, k_start = program_window(cu_seqlens_k_ptr, num_sequences, BLOCK_K)
    while k_start < window_end:
        k_end = tl.load(cu_seqlens_k_ptr + sequence + 1)
        num_keys = k_end - k_start
        q_start, num_queries = sequence_bounds(cu_seqlens_q_ptr, sequence)
        first = first_tile(window, k_start, BLOCK_K)
        if (tl.maximum(num_queries, num_keys) > SHORT) & (first < num_keys):
            grad_ptr = grad_out_ptr + head * GRAD_OUT_HEAD_STRIDE
            grad_out_rows = Rows(grad_ptr, GRAD_OUT_TOKEN_STRIDE, q_start, num_queries)
            q_rows = Rows(q_ptr + head * Q_HEAD_STRIDE, Q_TOKEN_STRIDE, q_start, num_queries)
            k_rows = Rows(k_ptr + head * K_HEAD_STRIDE, K_TOKEN_STRIDE, k_start, num_keys)
            v_rows = Rows(v_ptr + head * V_HEAD_STRIDE, V_TOKEN_STRIDE, k_start, num_keys)
            k = load_tile(k_rows, first, BLOCK_K, HEAD_DIM)
            v = load_tile(v_rows, first, BLOCK_K, HEAD_DIM)
            first_number = head.to(tl.int64) * num_q_tokens + q_start
            queries = (q_rows, grad_out_rows, log_sum_ptr + first_number, mean_grad_ptr + first_number)
            dropout = Dropout(tl.load(seeds_ptr + sequence), head, drop_below, keep_scale) if IS_DROPPING else None
            grad_k, grad_v = _key_gradients(
                k, v, first, num_keys, *queries, dropout, scale, log2_scale, CAUSAL, HEAD_DIM, BLOCK_Q
            )
            first_column, stride_token = head * HEAD_DIM, HEADS * HEAD_DIM
            grad_k_rows = Rows(grad_k_ptr + first_column, stride_token * K_PARTS, k_start, num_keys)
            grad_v_rows = Rows(grad_v_ptr + first_column, stride_token * V_PARTS, k_start, num_keys)
            store_tile(grad_k_rows, first, grad_k, HEAD_DIM)
            store_tile(grad_v_rows, first, grad_v, HEAD_DIM)
        sequence += 1
        k_start = k_end
