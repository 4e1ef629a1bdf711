"""Gradients of `triton_attention_long`, in two kernels: one owns tiles of queries, the other tiles of keys and values.

No number is added to by two programs, so there are no atomics and repeated runs give the same bits.
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
def _query_gradient(
    q,
    grad_out,
    log_sum,
    mean_grad,
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
    scale,
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
    """Gradient `(BLOCK_Q, BLOCK_D)` of one tile of queries."""
    grad_q = tl.zeros([BLOCK_Q, BLOCK_D], tl.float32)
    keys_end = num_keys
    if CAUSAL:
        keys_end = tl.minimum(num_keys, first + BLOCK_Q + num_keys - num_queries)
    for key in range(0, keys_end, BLOCK_K):
        rows_left = num_keys - key
        k = load_tile(k_ptr, k_start + key, rows_left, k_stride_token, BLOCK_K, HEAD_DIM, BLOCK_D)
        v = load_tile(v_ptr, k_start + key, rows_left, v_stride_token, BLOCK_K, HEAD_DIM, BLOCK_D)
        visible = visible_tile(first, key, num_queries, num_keys, CAUSAL, BLOCK_Q, BLOCK_K)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * log2_scale
        weights = tl.where(visible, tl.exp2(scores - log_sum[:, None]), 0.0)
        grad_weights = tl.dot(grad_out, tl.trans(v), input_precision="ieee")
        if IS_DROPPING:
            keep = keep_tile(seed, sequence, head, first, key, drop_below, BLOCK_Q, BLOCK_K)
            grad_weights = tl.where(keep, grad_weights * keep_scale, 0.0)
        grad_scores = (weights * (grad_weights - mean_grad[:, None]) * scale).to(k.dtype)
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
    seed_ptr,
    grad_out_stride_token,
    grad_out_stride_head,
    q_stride_token,
    q_stride_head,
    k_stride_token,
    k_stride_head,
    v_stride_token,
    v_stride_head,
    num_heads,
    num_sequences,
    num_q_tokens,
    scale,
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
    """Gradient of the queries, and for the next kernel rowsum(dO O) = rowsum(P dP), `(heads, num_q_tokens)`."""
    head = tl.program_id(1)
    seed = tl.load(seed_ptr) if IS_DROPPING else 0
    stride_token = num_heads * HEAD_DIM
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
            grad_ptr = grad_out_ptr + head * grad_out_stride_head
            grad_out = load_tile(grad_ptr, row, rows_left, grad_out_stride_token, BLOCK_Q, HEAD_DIM, BLOCK_D)
            out = load_tile(out_ptr + head * HEAD_DIM, row, rows_left, stride_token, BLOCK_Q, HEAD_DIM, BLOCK_D)
            mean_grad = tl.sum(grad_out.to(tl.float32) * out.to(tl.float32), 1)
            index = tl.arange(0, BLOCK_Q)
            row_offset = head.to(tl.int64) * num_q_tokens + row
            tl.store(mean_grad_ptr + row_offset + index, mean_grad, mask=index < rows_left)
            log_sum = tl.load(log_sum_ptr + row_offset + index, mask=index < rows_left, other=0.0)
            q_head_ptr = q_ptr + head * q_stride_head
            q = load_tile(q_head_ptr, row, rows_left, q_stride_token, BLOCK_Q, HEAD_DIM, BLOCK_D)
            grad_q = _query_gradient(
                q,
                grad_out,
                log_sum,
                mean_grad,
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
                scale,
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
            out_head = head * HEAD_DIM
            store_tile(grad_q_ptr + out_head, grad_q, row, rows_left, stride_token, BLOCK_Q, HEAD_DIM, BLOCK_D)
        sequence += 1
        q_start = q_end


@triton.jit
def _key_gradients(
    k,
    v,
    q_ptr,
    grad_out_ptr,
    log_sum_ptr,
    mean_grad_ptr,
    seed,
    sequence,
    head,
    first,
    q_start,
    num_queries,
    num_keys,
    q_stride_token,
    grad_out_stride_token,
    scale,
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
    """Gradients of one tile of keys and of its values, each `(BLOCK_K, BLOCK_D)`."""
    grad_k = tl.zeros([BLOCK_K, BLOCK_D], tl.float32)
    grad_v = tl.zeros([BLOCK_K, BLOCK_D], tl.float32)
    queries_begin = 0
    if CAUSAL:  # the first query that sees the first key of the tile, down to a whole tile
        queries_begin = tl.maximum(first + num_queries - num_keys, 0) // BLOCK_Q * BLOCK_Q
    for query in range(queries_begin, num_queries, BLOCK_Q):
        row, rows_left = q_start + query, num_queries - query
        q = load_tile(q_ptr, row, rows_left, q_stride_token, BLOCK_Q, HEAD_DIM, BLOCK_D)
        grad_out = load_tile(grad_out_ptr, row, rows_left, grad_out_stride_token, BLOCK_Q, HEAD_DIM, BLOCK_D)
        index = tl.arange(0, BLOCK_Q)
        log_sum = tl.load(log_sum_ptr + row + index, mask=index < rows_left, other=0.0)
        mean_grad = tl.load(mean_grad_ptr + row + index, mask=index < rows_left, other=0.0)
        visible = visible_tile(query, first, num_queries, num_keys, CAUSAL, BLOCK_Q, BLOCK_K)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * log2_scale
        weights = tl.where(visible, tl.exp2(scores - log_sum[:, None]), 0.0)
        grad_weights = tl.dot(grad_out, tl.trans(v), input_precision="ieee")
        kept_weights = weights
        if IS_DROPPING:
            keep = keep_tile(seed, sequence, head, query, first, drop_below, BLOCK_Q, BLOCK_K)
            kept_weights = tl.where(keep, weights * keep_scale, 0.0)
            grad_weights = tl.where(keep, grad_weights * keep_scale, 0.0)
        kept_weights = tl.trans(kept_weights.to(grad_out.dtype))
        grad_v = tl.dot(kept_weights, grad_out, grad_v, input_precision="ieee")
        grad_scores = (weights * (grad_weights - mean_grad[:, None]) * scale).to(q.dtype)
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
    seed_ptr,
    grad_out_stride_token,
    grad_out_stride_head,
    q_stride_token,
    q_stride_head,
    k_stride_token,
    k_stride_head,
    v_stride_token,
    v_stride_head,
    num_heads,
    num_sequences,
    num_q_tokens,
    scale,
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
    """Gradients of keys and values: a program keeps a tile of them and walks over the queries."""
    head = tl.program_id(1)
    seed = tl.load(seed_ptr) if IS_DROPPING else 0
    window = tl.program_id(0) * BLOCK_K
    window_end = tl.minimum(window + BLOCK_K, tl.load(cu_seqlens_k_ptr + num_sequences))
    sequence = first_sequence_past(cu_seqlens_k_ptr, num_sequences, window)
    k_start = tl.load(cu_seqlens_k_ptr + sequence)
    while k_start < window_end:
        k_end = tl.load(cu_seqlens_k_ptr + sequence + 1)
        num_keys = k_end - k_start
        q_start, num_queries = sequence_bounds(cu_seqlens_q_ptr, sequence)
        first = first_tile(window, k_start, BLOCK_K)
        if (tl.maximum(num_queries, num_keys) > SHORT) & (first < num_keys):
            row, rows_left = k_start + first, num_keys - first
            k_head_ptr, v_head_ptr = k_ptr + head * k_stride_head, v_ptr + head * v_stride_head
            row_offset = head.to(tl.int64) * num_q_tokens
            grad_k, grad_v = _key_gradients(
                load_tile(k_head_ptr, row, rows_left, k_stride_token, BLOCK_K, HEAD_DIM, BLOCK_D),
                load_tile(v_head_ptr, row, rows_left, v_stride_token, BLOCK_K, HEAD_DIM, BLOCK_D),
                q_ptr + head * q_stride_head,
                grad_out_ptr + head * grad_out_stride_head,
                log_sum_ptr + row_offset,
                mean_grad_ptr + row_offset,
                seed,
                sequence,
                head,
                first,
                q_start,
                num_queries,
                num_keys,
                q_stride_token,
                grad_out_stride_token,
                scale,
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
            out_head, stride_token = head * HEAD_DIM, num_heads * HEAD_DIM
            store_tile(grad_k_ptr + out_head, grad_k, row, rows_left, stride_token, BLOCK_K, HEAD_DIM, BLOCK_D)
            store_tile(grad_v_ptr + out_head, grad_v, row, rows_left, stride_token, BLOCK_K, HEAD_DIM, BLOCK_D)
        sequence += 1
        k_start = k_end
