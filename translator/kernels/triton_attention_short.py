"""Attention of short sequences: one program computes all queries and keys of a sequence and head.

At 10 to 128 tokens the whole score matrix fits into registers. So no online softmax is needed, nothing is stored for
the backward pass, and one program computes the gradients of queries, keys and values from one set of loads. A launch
computes the sequences of one length class, `SHORTER < longest <= TILE`; its programs return at once for others. The
class depends on the lengths of the sequence only, so its result does not depend on the other sequences in the batch.

The last launch also zeroes the rows that no other program writes: the trailing padding, for which it has one program
per head more, and sequences beyond the bound on the lengths.
"""

from __future__ import annotations

import triton
import triton.language as tl

from translator.kernels.triton_tiles import (
    RUNTIME_NUMBERS,
    Dropout,
    Rows,
    dropout_factors,
    load_tile,
    sequence_bounds,
    store_tile,
    visible_scores,
    zero_rows,
)


@triton.jit
def _softmax(q, k, num_queries, num_keys, log2_scale, CAUSAL: tl.constexpr):
    """Return the attention weights before dropout, `(TILE, TILE)`; zero for a query without a visible key."""
    scores, visible = visible_scores(q, k, 0, 0, num_queries, num_keys, log2_scale, CAUSAL)
    scores = tl.where(visible, scores, -float("inf"))
    highest = tl.max(scores, 1)
    highest = tl.where(highest == -float("inf"), 0.0, highest)
    exponentials = tl.exp2(scores - highest[:, None])
    total = tl.sum(exponentials, 1)
    inverse = 1.0 / tl.where(total == 0.0, 1.0, total)  # one division per row: each takes several instructions
    return exponentials * inverse[:, None]


@triton.jit(do_not_specialize=RUNTIME_NUMBERS)
def short_forward(
    q_ptr,
    k_ptr,
    v_ptr,
    out_ptr,
    cu_seqlens_q_ptr,
    cu_seqlens_k_ptr,
    seeds_ptr,
    num_sequences,
    num_q_tokens,
    num_k_tokens,
    zeroes_longer,
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
    SHORTER: tl.constexpr,
    TILE: tl.constexpr,
):
    """Compute `out = softmax(q k' scale) v`, contiguous, for one length class; one program per sequence and head.

    With `zeroes_longer` the output of sequences of more than TILE tokens is zeroed; no other launch computes them.
    """
    sequence = tl.program_id(0) // HEADS
    head = tl.program_id(0) % HEADS
    if sequence == num_sequences:
        q_start = tl.load(cu_seqlens_q_ptr + num_sequences)
        rows = Rows(out_ptr + head * HEAD_DIM, HEADS * HEAD_DIM, q_start, num_q_tokens - q_start)
        zero_rows(rows, TILE, HEAD_DIM)
        return
    q_start, num_queries = sequence_bounds(cu_seqlens_q_ptr, sequence)
    k_start, num_keys = sequence_bounds(cu_seqlens_k_ptr, sequence)
    longest = tl.maximum(num_queries, num_keys)
    if longest > TILE:
        if zeroes_longer != 0:
            rows = Rows(out_ptr + head * HEAD_DIM, HEADS * HEAD_DIM, q_start, num_queries)
            zero_rows(rows, TILE, HEAD_DIM)
        return
    if longest <= SHORTER:
        return
    q = load_tile(Rows(q_ptr + head * Q_HEAD_STRIDE, Q_TOKEN_STRIDE, q_start, num_queries), 0, TILE, HEAD_DIM)
    k = load_tile(Rows(k_ptr + head * K_HEAD_STRIDE, K_TOKEN_STRIDE, k_start, num_keys), 0, TILE, HEAD_DIM)
    v = load_tile(Rows(v_ptr + head * V_HEAD_STRIDE, V_TOKEN_STRIDE, k_start, num_keys), 0, TILE, HEAD_DIM)
    dropout = Dropout(tl.load(seeds_ptr + sequence), head, drop_below, keep_scale) if IS_DROPPING else None
    weights = _softmax(q, k, num_queries, num_keys, log2_scale, CAUSAL)
    weights *= dropout_factors(dropout, 0, 0, TILE, TILE)
    out = tl.dot(weights.to(v.dtype), v, input_precision="ieee")
    store_tile(Rows(out_ptr + head * HEAD_DIM, HEADS * HEAD_DIM, q_start, num_queries), 0, out, HEAD_DIM)


@triton.jit(do_not_specialize=RUNTIME_NUMBERS)
def short_backward(
    grad_out_ptr,
    q_ptr,
    k_ptr,
    v_ptr,
    grad_q_ptr,
    grad_k_ptr,
    grad_v_ptr,
    cu_seqlens_q_ptr,
    cu_seqlens_k_ptr,
    seeds_ptr,
    num_sequences,
    num_q_tokens,
    num_k_tokens,
    zeroes_longer,
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
    K_PARTS: tl.constexpr,
    V_PARTS: tl.constexpr,
    SHORTER: tl.constexpr,
    TILE: tl.constexpr,
):
    """Compute all three gradients for one length class; one program per sequence and head.

    With weights P, factors F of dropout and the gradient dO of the output: dV = (P F)' dO; with R = P F (dO V'), the
    gradient of the scores is dS = (R - P rowsum(R)) scale; dQ = dS K and dK = dS' Q. `zeroes_longer` is as in
    `short_forward`.
    """
    sequence = tl.program_id(0) // HEADS
    head = tl.program_id(0) % HEADS
    first_column, stride_token = head * HEAD_DIM, HEADS * HEAD_DIM
    if sequence == num_sequences:
        q_start = tl.load(cu_seqlens_q_ptr + num_sequences)
        k_start = tl.load(cu_seqlens_k_ptr + num_sequences)
        zero_rows(
            Rows(grad_q_ptr + first_column, stride_token * Q_PARTS, q_start, num_q_tokens - q_start), TILE, HEAD_DIM
        )
        zero_rows(
            Rows(grad_k_ptr + first_column, stride_token * K_PARTS, k_start, num_k_tokens - k_start), TILE, HEAD_DIM
        )
        zero_rows(
            Rows(grad_v_ptr + first_column, stride_token * V_PARTS, k_start, num_k_tokens - k_start), TILE, HEAD_DIM
        )
        return
    q_start, num_queries = sequence_bounds(cu_seqlens_q_ptr, sequence)
    k_start, num_keys = sequence_bounds(cu_seqlens_k_ptr, sequence)
    longest = tl.maximum(num_queries, num_keys)
    if longest > TILE:
        if zeroes_longer != 0:
            zero_rows(Rows(grad_q_ptr + first_column, stride_token * Q_PARTS, q_start, num_queries), TILE, HEAD_DIM)
            zero_rows(Rows(grad_k_ptr + first_column, stride_token * K_PARTS, k_start, num_keys), TILE, HEAD_DIM)
            zero_rows(Rows(grad_v_ptr + first_column, stride_token * V_PARTS, k_start, num_keys), TILE, HEAD_DIM)
        return
    if longest <= SHORTER:
        return
    q = load_tile(Rows(q_ptr + head * Q_HEAD_STRIDE, Q_TOKEN_STRIDE, q_start, num_queries), 0, TILE, HEAD_DIM)
    k = load_tile(Rows(k_ptr + head * K_HEAD_STRIDE, K_TOKEN_STRIDE, k_start, num_keys), 0, TILE, HEAD_DIM)
    weights = _softmax(q, k, num_queries, num_keys, log2_scale, CAUSAL)
    grad_out_ptr += head * GRAD_OUT_HEAD_STRIDE
    grad_out = load_tile(Rows(grad_out_ptr, GRAD_OUT_TOKEN_STRIDE, q_start, num_queries), 0, TILE, HEAD_DIM)
    v = load_tile(Rows(v_ptr + head * V_HEAD_STRIDE, V_TOKEN_STRIDE, k_start, num_keys), 0, TILE, HEAD_DIM)
    dropout = Dropout(tl.load(seeds_ptr + sequence), head, drop_below, keep_scale) if IS_DROPPING else None
    grad_kept_weights = tl.dot(grad_out, tl.trans(v), input_precision="ieee")
    kept_weights = weights * dropout_factors(dropout, 0, 0, TILE, TILE)
    grad_v = tl.dot(tl.trans(kept_weights.to(grad_out.dtype)), grad_out, input_precision="ieee")
    store_tile(Rows(grad_v_ptr + first_column, stride_token * V_PARTS, k_start, num_keys), 0, grad_v, HEAD_DIM)
    products = kept_weights * grad_kept_weights
    mean_grad = tl.sum(products, 1)
    grad_scores = ((products - weights * mean_grad[:, None]) * scale).to(q.dtype)
    grad_q = tl.dot(grad_scores, k, input_precision="ieee")
    store_tile(Rows(grad_q_ptr + first_column, stride_token * Q_PARTS, q_start, num_queries), 0, grad_q, HEAD_DIM)
    grad_k = tl.dot(tl.trans(grad_scores), q, input_precision="ieee")
    store_tile(Rows(grad_k_ptr + first_column, stride_token * K_PARTS, k_start, num_keys), 0, grad_k, HEAD_DIM)
