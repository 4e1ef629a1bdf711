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
    keep_tile,
    load_tile,
    replay_dropout,
    sequence_bounds,
    store_tile,
    visible_scores,
    zero_rows,
)


@triton.jit
def _exponentials(q, k, num_queries, num_keys, log2_scale, CAUSAL: tl.constexpr):
    """Return the exponentials of the softmax, `(TILE, TILE)`, and their row sums, 1 if a query has no visible key."""
    scores, visible = visible_scores(q, k, 0, 0, num_queries, num_keys, log2_scale, CAUSAL)
    scores = tl.where(visible, scores, -float("inf"))
    highest = tl.max(scores, 1)
    highest = tl.where(highest == -float("inf"), 0.0, highest)
    exponentials = tl.exp2(scores - highest[:, None])
    total = tl.sum(exponentials, 1)
    return exponentials, tl.where(total == 0.0, 1.0, total)


@triton.jit(do_not_specialize=RUNTIME_NUMBERS)
def short_forward(
    q_ptr,
    k_ptr,
    v_ptr,
    out_ptr,
    cu_seqlens_q_ptr,
    cu_seqlens_k_ptr,
    seeds_ptr,
    q_stride_token,
    q_stride_head,
    k_stride_token,
    k_stride_head,
    v_stride_token,
    v_stride_head,
    num_heads,
    num_sequences,
    num_q_tokens,
    num_k_tokens,
    zeroes_longer,
    log2_scale,
    drop_below,
    keep_scale,
    CAUSAL: tl.constexpr,
    IS_DROPPING: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    SHORTER: tl.constexpr,
    TILE: tl.constexpr,
):
    """Compute `out = softmax(q k' scale) v`, contiguous, for one length class; one program per sequence and head.

    With `zeroes_longer` the output of sequences of more than TILE tokens is zeroed; no other launch computes them.
    """
    sequence = tl.program_id(0) // num_heads
    head = tl.program_id(0) % num_heads
    if sequence == num_sequences:
        q_start = tl.load(cu_seqlens_q_ptr + num_sequences)
        rows = Rows(out_ptr + head * HEAD_DIM, num_heads * HEAD_DIM, q_start, num_q_tokens - q_start)
        zero_rows(rows, TILE, HEAD_DIM)
        return
    q_start, num_queries = sequence_bounds(cu_seqlens_q_ptr, sequence)
    k_start, num_keys = sequence_bounds(cu_seqlens_k_ptr, sequence)
    longest = tl.maximum(num_queries, num_keys)
    if longest > TILE:
        if zeroes_longer != 0:
            rows = Rows(out_ptr + head * HEAD_DIM, num_heads * HEAD_DIM, q_start, num_queries)
            zero_rows(rows, TILE, HEAD_DIM)
        return
    if longest <= SHORTER:
        return
    q = load_tile(Rows(q_ptr + head * q_stride_head, q_stride_token, q_start, num_queries), 0, TILE, HEAD_DIM)
    k = load_tile(Rows(k_ptr + head * k_stride_head, k_stride_token, k_start, num_keys), 0, TILE, HEAD_DIM)
    v = load_tile(Rows(v_ptr + head * v_stride_head, v_stride_token, k_start, num_keys), 0, TILE, HEAD_DIM)
    weights, total = _exponentials(q, k, num_queries, num_keys, log2_scale, CAUSAL)
    if IS_DROPPING:
        dropout = Dropout(tl.load(seeds_ptr + sequence), head, drop_below, keep_scale)
        weights = tl.where(keep_tile(dropout, 0, 0, TILE, TILE), weights, 0.0)
        total = total / keep_scale
    out = tl.dot(weights.to(v.dtype), v, input_precision="ieee") / total[:, None]
    store_tile(Rows(out_ptr + head * HEAD_DIM, num_heads * HEAD_DIM, q_start, num_queries), 0, out, HEAD_DIM)


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
    num_k_tokens,
    zeroes_longer,
    scale,
    log2_scale,
    drop_below,
    keep_scale,
    CAUSAL: tl.constexpr,
    IS_DROPPING: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    Q_PARTS: tl.constexpr,
    K_PARTS: tl.constexpr,
    V_PARTS: tl.constexpr,
    SHORTER: tl.constexpr,
    TILE: tl.constexpr,
):
    """Compute all three gradients for one length class; one program per sequence and head.

    With weights P, kept and scaled weights K(P) and gradients dO of the output: dV = K(P)' dO and dP = K(dO V'); then
    dS = P (dP - rowsum(P dP)) scale, dQ = dS K and dK = dS' Q. `zeroes_longer` is as in `short_forward`.
    """
    sequence = tl.program_id(0) // num_heads
    head = tl.program_id(0) % num_heads
    first_column, stride_token = head * HEAD_DIM, num_heads * HEAD_DIM
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
    q = load_tile(Rows(q_ptr + head * q_stride_head, q_stride_token, q_start, num_queries), 0, TILE, HEAD_DIM)
    k = load_tile(Rows(k_ptr + head * k_stride_head, k_stride_token, k_start, num_keys), 0, TILE, HEAD_DIM)
    weights, total = _exponentials(q, k, num_queries, num_keys, log2_scale, CAUSAL)
    weights = weights / total[:, None]
    grad_out_ptr += head * grad_out_stride_head
    grad_out = load_tile(Rows(grad_out_ptr, grad_out_stride_token, q_start, num_queries), 0, TILE, HEAD_DIM)
    v = load_tile(Rows(v_ptr + head * v_stride_head, v_stride_token, k_start, num_keys), 0, TILE, HEAD_DIM)
    grad_weights = tl.dot(grad_out, tl.trans(v), input_precision="ieee")
    dropout = Dropout(tl.load(seeds_ptr + sequence), head, drop_below, keep_scale) if IS_DROPPING else None
    kept_weights, grad_weights = replay_dropout(weights, grad_weights, dropout, 0, 0)
    grad_v = tl.dot(tl.trans(kept_weights.to(grad_out.dtype)), grad_out, input_precision="ieee")
    store_tile(Rows(grad_v_ptr + first_column, stride_token * V_PARTS, k_start, num_keys), 0, grad_v, HEAD_DIM)
    mean_grad = tl.sum(weights * grad_weights, 1)
    grad_scores = (weights * (grad_weights - mean_grad[:, None]) * scale).to(q.dtype)
    grad_q = tl.dot(grad_scores, k, input_precision="ieee")
    store_tile(Rows(grad_q_ptr + first_column, stride_token * Q_PARTS, q_start, num_queries), 0, grad_q, HEAD_DIM)
    grad_k = tl.dot(tl.trans(grad_scores), q, input_precision="ieee")
    store_tile(Rows(grad_k_ptr + first_column, stride_token * K_PARTS, k_start, num_keys), 0, grad_k, HEAD_DIM)
