"""Reference implementation of the kernels in plain torch, one sequence at a time.

All other implementations are tested against it. It is slow and simple, supports any device, dtype and head dimension,
and computes attention maps.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from translator.kernels.counter_dropout import kept_weights
from translator.kernels.dropout import is_kept


def attention_weights(q: Tensor, k: Tensor, *, causal: bool, scale: float) -> Tensor:
    """Softmax of scaled scores of one sequence (Vaswani et al., 2017, section 3.2.1).

    Args:
        q: `(num_queries, heads, head_dim)`.
        k: `(num_keys, heads, head_dim)`.
        causal: mask keys after the position of the query, counted from the end (bottom-right alignment).
        scale: factor on the scores.

    Returns:
        `(heads, num_queries, num_keys)`; each row sums to one, or is zero if the query has no visible key.
    """
    scores = torch.einsum("qhd,khd->hqk", q, k) * scale
    if causal:
        num_queries, num_keys = scores.shape[1:]
        is_masked = torch.ones(num_queries, num_keys, dtype=torch.bool, device=q.device).triu(
            num_keys - num_queries + 1
        )
        scores = scores.masked_fill(is_masked, -torch.inf)
    return torch.softmax(scores, dim=-1).nan_to_num(0.0)


def packed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    *,
    causal: bool,
    scale: float,
    dropout_p: float = 0.0,
    seeds: Tensor | None = None,
) -> Tensor:
    """Attention of the queries of each sequence to its keys, given separately; see `kernels.packed_attention`.

    Dropout uses the mask of `counter_dropout`, as the Triton kernels do.
    """
    out = torch.zeros_like(q)
    bounds = zip(pairwise(cu_seqlens_q.tolist()), pairwise(cu_seqlens_k.tolist()), strict=True)
    for sequence, ((q_start, q_end), (k_start, k_end)) in enumerate(bounds):
        if q_start == q_end or k_start == k_end:
            continue
        weights = attention_weights(q[q_start:q_end], k[k_start:k_end], causal=causal, scale=scale)
        if dropout_p:
            assert seeds is not None
            heads, num_queries, num_keys = weights.shape
            kept = kept_weights(seeds[sequence : sequence + 1], heads, num_queries, num_keys, dropout_p)
            weights = weights * kept / (1 - dropout_p)
        out[q_start:q_end] = torch.einsum("hqk,khd->qhd", weights.to(v.dtype), v[k_start:k_end])
    return out


def relu_linear(x: Tensor, weight: Tensor, bias: Tensor, keys: Tensor | None = None, dropout_p: float = 0.0) -> Tensor:
    """Linear layer, ReLU and dropout; arguments as in `kernels.relu_linear`."""
    out = F.relu(x @ weight.T + bias)
    return out if keys is None else out * is_kept(keys, out.shape[1], dropout_p) / (1 - dropout_p)


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, labels: Tensor, *, label_smoothing: float, ignore_index: int
) -> Tensor:
    """Summed cross entropy of `hidden @ weight.T` with smoothed labels; shapes as in `kernels.linear_cross_entropy`."""
    log_probabilities = torch.log_softmax(hidden @ weight.T, dim=-1)
    is_token = labels != ignore_index
    nll = -log_probabilities.gather(1, labels.clamp(min=0)[:, None]).squeeze(1)
    uniform = -log_probabilities.mean(dim=1)
    return (((1 - label_smoothing) * nll + label_smoothing * uniform) * is_token).sum()


def decode_attention(
    q: Tensor, keys: Tensor, values: Tensor, length: Tensor, ancestry: Tensor | None, *, scale: float
) -> Tensor:
    """Attention of one query per row to its history in a static cache; shapes as in `kernels.decode_attention`."""
    rows, positions = q.shape[0], keys.shape[0]
    position = torch.arange(positions, device=q.device)
    slot = torch.arange(rows, device=q.device)[:, None]
    if ancestry is not None:
        slot = torch.where(position < length, ancestry, 0)  # nothing is read past `length`
    history = position.expand(rows, -1), slot.expand(rows, positions)
    scores = torch.einsum("nhd,nthd->nht", q, keys[history]) * scale
    weights = torch.softmax(scores.masked_fill(position >= length, -torch.inf), dim=-1).nan_to_num(0.0)
    is_filled = (position < length)[:, None, None]
    return torch.einsum("nht,nthd->nhd", weights, torch.where(is_filled, values[history], 0))


def decode_cross_attention(
    q: Tensor, keys: Tensor, values: Tensor, starts: Tensor, lengths: Tensor, max_seqlen: int, *, scale: float
) -> Tensor:
    """Attention of the beams of each sentence to its keys; shapes as in `kernels.decode_cross_attention`."""
    sentences = starts.shape[0]
    beams = q.shape[0] // max(1, sentences)
    position = torch.arange(max_seqlen, device=q.device)
    is_token = position < lengths[:, None]  # (sentences, max_seqlen)
    rows = torch.where(is_token, starts[:, None] + position, 0)
    scores = torch.einsum("sbhd,sthd->sbht", q.view(sentences, beams, *q.shape[1:]), keys[rows]) * scale
    scores = scores.masked_fill(~is_token[:, None, None], -torch.inf)
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return torch.einsum("sbht,sthd->sbhd", weights, values[rows]).flatten(0, 1)
