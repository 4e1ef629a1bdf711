"""Packed attention for the CPU: sequences of like length are padded together and multiplied as one batch.

Sentences are short, so a loop over them drowns in call overhead and one rectangle for all drowns in padding. A few
groups of similar length lose little to either, and a batched matrix product over 10 to 60 tokens is several times
faster on a CPU than a flash kernel tiled for long contexts.

One copy brings the rows of all groups into the order in which they are multiplied, and one takes the results back; a
group is a slice between them. Attention weights of sentences are small, so they are kept for the backward pass; where
torch.compile allows no such thing, they are computed again, dropout included: its mask is a function of the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from translator.kernels.reference import seeded_generator

_FULLEST_WASTE = 0.65  # a group takes sequences down to this share of its longest one's length
_SMALLEST_GROUP = 32  # ... but fills up to so many before it minds


@dataclass(frozen=True)
class _Side:
    """Where the queries, or the keys, of all groups lie in a buffer of rows `(num_places, head_dim)`.

    The buffer holds group after group, each `(num_sequences, heads, longest)`.

    Attributes:
        token: `(num_places,)` int64, the packed row behind each place; padding repeats row 0.
        head: `(num_places,)` int64.
        padding: `(n,)` int64, places that hold no token.
        place: `(num_tokens * heads,)` int64, the inverse; tokens that attend to nothing have the place past the last.
        indices: cache of `gather`.
    """

    token: Tensor
    head: Tensor
    padding: Tensor
    place: Tensor
    indices: dict[int, Tensor] = field(default_factory=dict)

    def gather(self, x: Tensor) -> Tensor:
        """`(num_tokens, heads, head_dim)`, also a slice of joint projections, to a buffer."""
        head_dim = x.shape[2]
        if x.stride(2) != 1 or x.stride(1) != head_dim or x.stride(0) % head_dim:
            x = x.contiguous()
        step = x.stride(0) // head_dim  # from one token to the next, in rows of head_dim
        if step not in self.indices:
            self.indices[step] = self.token * step + self.head
        num_rows = (x.shape[0] - 1) * step + x.shape[1]
        return x.as_strided((num_rows, head_dim), (head_dim, 1)).index_select(0, self.indices[step])

    def empty(self, like: Tensor) -> Tensor:
        """A buffer to be filled, and a row of zeros past it."""
        buffer = like.new_empty(len(self.token) + 1, like.shape[-1])
        buffer[-1] = 0
        return buffer

    def scatter(self, buffer: Tensor, heads: int) -> Tensor:
        """What `empty` gave, filled, to `(num_tokens, heads, head_dim)`."""
        return buffer.index_select(0, self.place).view(-1, heads, buffer.shape[1])


@dataclass(frozen=True)
class _Group:
    """Sequences computed together.

    Attributes:
        batch: sequences times heads.
        longest_q: queries of the longest sequence; `longest_k` likewise.
        first_q: where the group begins in a buffer of queries; `first_k` of keys, `first_weight` in all weights.
        bias: `(num_sequences, 1, longest_q or 1, longest_k)` float32, where scores begin: 0, or -1e30 for a key that
            its query must not see; None where every query sees all.
        has_blind_query: whether some query sees no key at all (causal, with more queries than keys).
    """

    batch: int
    longest_q: int
    longest_k: int
    first_q: int
    first_k: int
    first_weight: int
    bias: Tensor | None
    has_blind_query: bool

    def queries(self, buffer: Tensor) -> Tensor:
        """The group's part of a buffer of queries: `(batch, longest_q, head_dim)`."""
        return buffer[self.first_q : self.first_q + self.batch * self.longest_q].view(self.batch, self.longest_q, -1)

    def keys(self, buffer: Tensor) -> Tensor:
        """The group's part of a buffer of keys or values: `(batch, longest_k, head_dim)`."""
        return buffer[self.first_k : self.first_k + self.batch * self.longest_k].view(self.batch, self.longest_k, -1)

    def weights(self, flat: Tensor) -> Tensor:
        """The group's part of something with an element for each weight: `(batch, longest_q, longest_k)`."""
        numel = self.batch * self.longest_q * self.longest_k
        return flat[self.first_weight : self.first_weight + numel].view(self.batch, self.longest_q, self.longest_k)


@dataclass(frozen=True)
class _Plan:
    """How one layout of sequences is computed; `num_weights` counts the attention weights of all groups."""

    queries: _Side
    keys: _Side
    groups: list[_Group]
    num_weights: int


def _plan(q: Tensor, k: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, causal: bool) -> _Plan:
    offsets_q, offsets_k = cu_seqlens_q.numpy().tobytes(), cu_seqlens_k.numpy().tobytes()
    return _cached_plan(offsets_q, offsets_k, q.shape[0], k.shape[0], q.shape[1], causal)


@lru_cache(maxsize=16)  # the layers of a model share the layouts of a batch
def _cached_plan(offsets_q: bytes, offsets_k: bytes, num_q: int, num_k: int, heads: int, causal: bool) -> _Plan:
    bounds_q, bounds_k = (torch.frombuffer(bytearray(b), dtype=torch.int32).tolist() for b in (offsets_q, offsets_k))
    alike = _alike(
        [
            (q_end - q_start, k_end - k_start, q_start, k_start)
            for (q_start, q_end), (k_start, k_end) in zip(pairwise(bounds_q), pairwise(bounds_k), strict=True)
            if q_end > q_start and k_end > k_start
        ]
    )
    groups: list[_Group] = []
    first_q = first_k = first_weight = 0
    for sequences in alike:
        batch = len(sequences) * heads
        lengths_q, lengths_k = [sequence[0] for sequence in sequences], [sequence[1] for sequence in sequences]
        longest_q, longest_k = max(lengths_q), max(lengths_k)
        bias = _bias(lengths_q, lengths_k, causal)
        has_blind_query = causal and any(q > k for q, k in zip(lengths_q, lengths_k, strict=True))
        groups.append(_Group(batch, longest_q, longest_k, first_q, first_k, first_weight, bias, has_blind_query))
        first_q += batch * longest_q
        first_k += batch * longest_k
        first_weight += batch * longest_q * longest_k
    queries = _side([[(length, start) for length, _, start, _ in group] for group in alike], num_q, heads)
    if (offsets_q, num_q) == (offsets_k, num_k):
        return _Plan(queries, queries, groups, first_weight)
    keys = _side([[(length, start) for _, length, _, start in group] for group in alike], num_k, heads)
    return _Plan(queries, keys, groups, first_weight)


_Sequence = tuple[int, int, int, int]  # number of queries and of keys, first row of the queries and of the keys


def _alike(sequences: list[_Sequence]) -> list[list[_Sequence]]:
    """Sequences by falling length, cut where the next would be too short for its group."""
    groups: list[list[_Sequence]] = []
    for sequence in sorted(sequences, key=lambda sequence: (-(sequence[0] + sequence[1]), sequence)):
        is_short = bool(groups) and sum(sequence[:2]) < _FULLEST_WASTE * sum(groups[-1][0][:2])
        if not groups or (is_short and len(groups[-1]) >= _SMALLEST_GROUP):
            groups.append([])
        groups[-1].append(sequence)
    return groups


def _side(groups: list[list[tuple[int, int]]], num_tokens: int, heads: int) -> _Side:
    """The layout of groups of `(length, start)`."""
    tokens, are_real = [torch.empty(0, heads, dtype=torch.int64)], [torch.empty(0, heads, dtype=torch.bool)]
    all_heads = [torch.empty(0, dtype=torch.int64)]
    for group in groups:
        length, start = (torch.tensor(column)[:, None, None] for column in zip(*group, strict=True))
        position = torch.arange(int(length.max()))
        is_real = (position < length).expand(-1, heads, -1)  # (num_sequences, heads, longest)
        tokens.append(torch.where(is_real, start + position, 0))
        are_real.append(is_real)
        all_heads.append(torch.arange(heads)[:, None].expand(is_real.shape).flatten())
    token, is_real = (torch.cat([x.flatten() for x in parts]) for parts in (tokens, are_real))
    head = torch.cat(all_heads)
    place = torch.full((num_tokens * heads,), len(token))
    place[(token * heads + head)[is_real]] = is_real.nonzero().squeeze(1)
    return _Side(token, head, (~is_real).nonzero().squeeze(1), place)


def _bias(lengths_q: list[int], lengths_k: list[int], causal: bool) -> Tensor | None:
    """What hides keys from queries: those past the sequence's end, and past the query's own position when causal."""
    if not causal and min(lengths_k) == max(lengths_k):
        return None
    key = torch.arange(max(lengths_k))
    length_k = torch.tensor(lengths_k)[:, None, None, None]
    hidden = key >= length_k  # (num_sequences, 1, 1, longest_k)
    if causal:
        query = torch.arange(max(lengths_q))[:, None]
        hidden = hidden | (key > query + length_k - torch.tensor(lengths_q)[:, None, None, None])
    return hidden * -1e30


def _weights(q: Tensor, k: Tensor, group: _Group, heads: int, scale: float) -> Tensor:
    """Attention weights `(batch, longest_q, longest_k)` in float32 or wider."""
    scores = q.new_empty(group.batch, group.longest_q, group.longest_k)
    if group.bias is not None:
        scores.view(-1, heads, *scores.shape[1:]).copy_(group.bias)
    scores.baddbmm_(q, k.transpose(1, 2), beta=int(group.bias is not None), alpha=scale)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    weights = torch.softmax(scores, dim=-1)
    if group.has_blind_query:
        assert group.bias is not None
        weights.view(-1, heads, *scores.shape[1:]).masked_fill_(group.bias < 0, 0.0)
    return weights


def keep_mask(shape: tuple[int, ...], dropout_p: float, generator: torch.Generator | None = None) -> Tensor:
    """A float32 dropout mask on the CPU: 0 with probability `dropout_p` (to 1/65536), otherwise 1 / (1 - dropout_p).

    Four decisions are cut from each 64-bit draw: drawing each by `bernoulli_` takes ten times as long.
    """
    numel = 1
    for size in shape:
        numel *= size
    bits = torch.empty((numel + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    threshold = round(dropout_p * 65536) - 32768
    is_kept = bits.view(torch.int16)[:numel].ge_(threshold)  # 0 or 1; as bool it would convert more slowly
    return is_kept.view(shape).to(torch.float32).mul_(1 / (1 - dropout_p))


@dataclass(frozen=True)
class _Intermediate:
    """What the backward pass needs: buffers of queries, keys and values, each group's weights, the dropout mask."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    weights: list[Tensor]
    keep: Tensor | None


def _forward(
    q: Tensor, k: Tensor, v: Tensor, plan: _Plan, scale: float, dropout_p: float, seed: Tensor
) -> tuple[Tensor, _Intermediate]:
    heads = q.shape[1]
    queries, keys, values = plan.queries.gather(q), plan.keys.gather(k), plan.keys.gather(v)
    keep = keep_mask((plan.num_weights,), dropout_p, seeded_generator(q.device, seed)) if dropout_p else None
    out, all_weights = plan.queries.empty(like=q), []
    for group in plan.groups:
        weights = _weights(group.queries(queries), group.keys(keys), group, heads, scale)
        dropped = weights if keep is None else weights * group.weights(keep)
        torch.bmm(dropped.to(v.dtype), group.keys(values), out=group.queries(out))
        all_weights.append(weights)
    return plan.queries.scatter(out, heads), _Intermediate(queries, keys, values, all_weights, keep)


def _backward(
    grad_out: Tensor, saved: _Intermediate, plan: _Plan, heads: int, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    grads = plan.queries.gather(grad_out).index_fill_(0, plan.queries.padding, 0.0)
    grad_q = plan.queries.empty(like=grad_out)
    grad_k, grad_v = plan.keys.empty(like=grad_out), plan.keys.empty(like=grad_out)
    for group, weights in zip(plan.groups, saved.weights, strict=True):
        grad, keys, values = group.queries(grads), group.keys(saved.keys), group.keys(saved.values)
        keep = None if saved.keep is None else group.weights(saved.keep)
        dropped = weights if keep is None else weights * keep
        torch.bmm(dropped.to(grad.dtype).transpose(1, 2), grad, out=group.keys(grad_v))
        grad_weights = torch.bmm(grad, values.transpose(1, 2)).to(weights.dtype)
        if keep is not None:
            grad_weights.mul_(keep)
        grad_scores = torch.ops.aten._softmax_backward_data(grad_weights, weights, -1, weights.dtype).to(grad.dtype)
        group.queries(grad_q).baddbmm_(grad_scores, keys, beta=0, alpha=scale)
        queries = group.queries(saved.queries)
        group.keys(grad_k).baddbmm_(grad_scores.transpose(1, 2), queries, beta=0, alpha=scale)
    return plan.queries.scatter(grad_q, heads), plan.keys.scatter(grad_k, heads), plan.keys.scatter(grad_v, heads)


class _GroupedAttention(torch.autograd.Function):
    """Eager attention, which keeps its intermediate results."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        q, k, v, cu_seqlens_q, cu_seqlens_k, causal, ctx.scale, dropout_p, seed = inputs
        ctx.heads, ctx.plan = q.shape[1], _plan(q, k, cu_seqlens_q, cu_seqlens_k, causal)
        out, saved = _forward(q, k, v, ctx.plan, ctx.scale, dropout_p, seed)
        ctx.save_for_backward(saved.queries, saved.keys, saved.values, saved.keep, *saved.weights)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, keep, *weights = ctx.saved_tensors
        saved = _Intermediate(queries, keys, values, weights, keep)
        return *_backward(grads[0], saved, ctx.plan, ctx.heads, ctx.scale), *(None,) * 6


def grouped_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    causal: bool,
    scale: float,
    dropout_p: float,
    seed: Tensor,
) -> Tensor:
    """Packed attention on the CPU; arguments as in `kernels.packed_attention`."""
    inputs = (q, k, v, cu_seqlens_q, cu_seqlens_k, causal, scale, dropout_p, seed)
    attention: Callable[..., Tensor] = _GroupedAttention.apply
    if torch.compiler.is_compiling():
        attention = grouped_attention_operator
    return attention(*inputs)


@torch.library.custom_op("translator::grouped_attention", mutates_args=())
def grouped_attention_operator(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    causal: bool,
    scale: float,
    dropout_p: float,
    seed: Tensor,
) -> Tensor:
    """`grouped_attention` as torch.compile sees it."""
    return _forward(q, k, v, _plan(q, k, cu_seqlens_q, cu_seqlens_k, causal), scale, dropout_p, seed)[0]


@grouped_attention_operator.register_fake
def _(q: Tensor, *_: Any) -> Tensor:
    return torch.empty(q.shape, dtype=q.dtype, device=q.device)


@torch.library.custom_op("translator::grouped_attention_backward", mutates_args=())
def grouped_attention_backward(
    grad_out: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    causal: bool,
    scale: float,
    dropout_p: float,
    seed: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `grouped_attention` for q, k and v, from its inputs alone."""
    plan = _plan(q, k, cu_seqlens_q, cu_seqlens_k, causal)
    _, saved = _forward(q, k, v, plan, scale, dropout_p, seed)
    return _backward(grad_out, saved, plan, q.shape[1], scale)


@grouped_attention_backward.register_fake
def _(grad_out: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    grad_q, grad_k, grad_v = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    return grad_q, grad_k, grad_v


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    q, k, v, cu_seqlens_q, cu_seqlens_k, ctx.causal, ctx.scale, ctx.dropout_p, seed = inputs
    ctx.save_for_backward(q, k, v, cu_seqlens_q, cu_seqlens_k, seed)


def _operator_backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    q, k, v, cu_seqlens_q, cu_seqlens_k, seed = ctx.saved_tensors
    grads = grouped_attention_backward(
        grad_out, q, k, v, cu_seqlens_q, cu_seqlens_k, ctx.causal, ctx.scale, ctx.dropout_p, seed
    )
    return *grads, None, None, None, None, None, None


grouped_attention_operator.register_autograd(_operator_backward, setup_context=_setup_context)
