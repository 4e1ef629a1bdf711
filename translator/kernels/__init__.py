"""Kernels of attention, of feed-forward networks, of the loss and of candidate selection.

All backends compute what `reference` computes and differ in speed only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from translator.kernels import reference
from translator.kernels.backends import BACKENDS, choose_backend, triton_obstacle
from translator.kernels.checks import check_attention, check_labels, check_loss, check_offsets, is_checking_values
from translator.kernels.cross_entropy import chunked_linear_cross_entropy
from translator.kernels.decoding import decode_attention, decode_cross_attention
from translator.kernels.dropout import keyed_dropout
from translator.kernels.embedding import embed
from translator.kernels.grouped import grouped_attention, separated
from translator.kernels.top_tokens import largest, top_tokens

__all__ = [
    "BACKENDS",
    "decode_attention",
    "decode_cross_attention",
    "embed",
    "keyed_dropout",
    "largest",
    "linear_cross_entropy",
    "packed_attention",
    "relu_linear",
    "top_tokens",
]


def packed_attention(
    projections: Sequence[Tensor],
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    *,
    causal: bool,
    scale: float | None = None,
    dropout_p: float = 0.0,
    seeds: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Multi-head attention over packed sequences (Vaswani et al., 2017, section 3.2).

    The queries of sequence s attend to the keys of sequence s only. The output is zero for queries without a visible
    key and for trailing padding.

    Args:
        projections: queries, keys and values in this order, floating point, one dtype. Each is `(num_tokens, heads,
            head_dim)`. Adjacent ones that one product computed may be one tensor `(num_tokens, m, heads, head_dim)`,
            such as `[queries_keys_values]` or `[queries, keys_values]`; this saves copies.
        cu_seqlens_q: `(num_sequences + 1,)` int32, offsets of the sequences of queries.
        cu_seqlens_k: `(num_sequences + 1,)` int32, offsets of the sequences of keys and values.
        max_seqlen_q: upper bound on the number of queries in a sequence.
        max_seqlen_k: upper bound on the number of keys in a sequence.
        causal: query i of n attends to key j of m only if j - i <= m - n (bottom-right alignment).
        scale: factor on the scores; `head_dim ** -0.5` by default.
        dropout_p: probability that an attention weight is dropped.
        seeds: `(num_sequences,)` int64, one per sequence; they determine which weights are dropped (see
            `counter_dropout`). Required with dropout, except by `sdpa`, which uses torch's generator.
        backend: one of `BACKENDS`; `auto` selects `grouped` on the CPU, `triton` on CUDA, and `sdpa` if neither
            supports the inputs.

    Returns:
        `(num_q_tokens, heads, head_dim)`, dtype of the queries.

    Raises:
        ValueError: if shapes, dtypes, devices or the backend do not fit.
    """
    projections = _as_autocast(*_with_parts(projections))
    q, k, v = separated(projections)
    check_attention(q, k, v, cu_seqlens_q, cu_seqlens_k, dropout_p, seeds, backend)
    backend = choose_backend(backend, q.device.type, q.dtype, q.shape[-1])
    if backend == "reference" or is_checking_values(q.device):
        check_offsets("cu_seqlens_q", cu_seqlens_q, q.shape[0], max_seqlen_q)
        check_offsets("cu_seqlens_k", cu_seqlens_k, k.shape[0], max_seqlen_k)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    offsets, bounds = (cu_seqlens_q.contiguous(), cu_seqlens_k.contiguous()), (max_seqlen_q, max_seqlen_k)
    if backend == "triton":
        from translator.kernels.triton_attention import triton_attention  # triton is optional

        seeds = seeds if dropout_p else None
        out: Tensor = triton_attention(projections, *offsets, *bounds, causal, scale, dropout_p, seeds)[0]
        return out
    if backend == "grouped":
        seeds = torch.zeros(1, dtype=torch.int64) if seeds is None else seeds  # not read
        return grouped_attention(projections, *offsets, causal, scale, dropout_p, seeds)
    if backend == "sdpa":
        return _sdpa(q, k, v, *offsets, *bounds, causal, scale, dropout_p)
    return reference.packed_attention(q, k, v, *offsets, causal=causal, scale=scale, dropout_p=dropout_p, seeds=seeds)


def _with_parts(projections: Sequence[Tensor]) -> list[Tensor]:
    """Return the projections with a dimension of parts: `(num_tokens, m, heads, head_dim)` each, three parts in all."""
    joint = [x.unsqueeze(1) if x.ndim == 3 else x for x in projections]
    if any(x.ndim != 4 for x in joint) or sum(x.shape[1] for x in joint) != 3:
        shapes = ", ".join(str(tuple(x.shape)) for x in projections)
        raise ValueError(
            "projections must hold queries, keys and values, each (num_tokens, heads, head_dim) or several as "
            f"(num_tokens, m, heads, head_dim). Received: {shapes}."
        )
    return joint


def _sdpa(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    causal: bool,
    scale: float,
    dropout_p: float,
) -> Tensor:
    """Attention with torch's `scaled_dot_product_attention` over padded sequences; dropout uses torch's generator."""
    query, is_query = _places(cu_seqlens_q, max_seqlen_q)
    key, is_key = _places(cu_seqlens_k, max_seqlen_k)
    visible = is_key[:, None, None, :]  # (num_sequences, 1, 1, max_seqlen_k)
    if causal:
        shift = (cu_seqlens_k.diff() - cu_seqlens_q.diff())[:, None, None, None]
        index_q = torch.arange(max_seqlen_q, device=q.device)[:, None]
        visible = visible & (torch.arange(max_seqlen_k, device=q.device) <= index_q + shift)
    has_key = visible.any(dim=-1, keepdim=True)
    out = F.scaled_dot_product_attention(
        q[query].transpose(1, 2),
        k[key].transpose(1, 2),
        v[key].transpose(1, 2),
        attn_mask=visible | ~has_key,
        dropout_p=dropout_p,
        scale=scale,
    )
    out = torch.where(has_key, out, 0).transpose(1, 2)  # (num_sequences, max_seqlen_q, heads, head_dim)
    packed = q.new_zeros(q.shape[0] + 1, *q.shape[1:])  # the last row receives the padding
    row = torch.where(is_query, query, q.shape[0])
    return packed.index_put((row,), out)[:-1]


def _places(cu_seqlens: Tensor, max_seqlen: int) -> tuple[Tensor, Tensor]:
    """Return the packed row of each padded position, 0 for padding, and which are tokens: `(sequences, max_seqlen)`."""
    position = torch.arange(max_seqlen, device=cu_seqlens.device)
    is_real = position < cu_seqlens.diff()[:, None]
    return torch.where(is_real, cu_seqlens[:-1, None] + position, 0), is_real


def relu_linear(x: Tensor, weight: Tensor, bias: Tensor, keys: Tensor | None = None, dropout_p: float = 0.0) -> Tensor:
    """Return `relu(x @ weight.T + bias)` after dropout; on CUDA as one operator.

    Args:
        x: `(num_tokens, in_features)`, floating point.
        weight: `(out_features, in_features)`, same dtype.
        bias: `(out_features,)`, same dtype.
        keys: `(num_tokens,)` int64, keys of dropout (see `keyed_dropout`); None without dropout.
        dropout_p: probability that an element is dropped.

    Returns:
        `(num_tokens, out_features)`.
    """
    if x.is_cuda and triton_obstacle(x.device.type, x.dtype) is None:
        from translator.kernels.triton_relu_linear import triton_relu_linear  # triton is optional

        x, weight, bias = _as_autocast(x, weight, bias)
        return triton_relu_linear(x, weight, bias, keys, dropout_p)
    out = F.relu(F.linear(x, weight, bias))
    return out if keys is None else keyed_dropout(out, keys, dropout_p)


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, labels: Tensor, *, label_smoothing: float = 0.0, ignore_index: int = -100
) -> Tensor:
    """Return the summed cross entropy of the projection onto the vocabulary, without storing all logits.

    Labels are smoothed as in Szegedy et al. (2016), section 7: `1 - label_smoothing` on the label and the rest spread
    evenly over the vocabulary, including the label.

    Args:
        hidden: `(num_tokens, d_model)`, floating point.
        weight: `(vocab_size, d_model)`, same dtype.
        labels: `(num_tokens,)` int64; rows with `ignore_index` are ignored.
        label_smoothing: in [0, 1).
        ignore_index: a negative number.

    Returns:
        A scalar in nats, in float32 or wider.

    Raises:
        ValueError: if shapes, dtypes or devices do not fit, or a number is out of range.
    """
    check_loss(hidden, weight, labels, label_smoothing, ignore_index)
    if is_checking_values(labels.device):
        check_labels(labels, weight.shape[0], ignore_index)
    hidden, weight = _as_autocast(hidden, weight)
    needs_grad = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    loss: Tensor
    loss, _, _ = chunked_linear_cross_entropy(hidden, weight, labels, label_smoothing, ignore_index, needs_grad)
    return loss


def _as_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Under `torch.autocast`, cast float32 tensors (results of norms and rotations) to the dtype of products."""
    device_type = tensors[0].device.type
    if device_type == "meta" or not torch.is_autocast_enabled(device_type):
        return tensors
    dtype = torch.get_autocast_dtype(device_type)
    return tuple(x.to(dtype) if x.dtype == torch.float32 else x for x in tensors)
