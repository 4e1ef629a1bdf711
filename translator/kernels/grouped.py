"""Packed attention on the CPU: sequences of similar length are padded together and multiplied as one batch.

For short sentences, a loop has too much call overhead and a single padded batch too much padding. A few groups of
similar length have little of both. A batched matrix product over 10 to 60 tokens is several times faster on a CPU than
a flash kernel tiled for long contexts.

One copy orders the rows by group, and another restores the order of the results; a group is a slice in between.
Attention weights of sentences are small, so the backward pass reuses them. Under torch.compile, which does not allow
this, they are recomputed. Dropout is the same both times, since its mask is a function of the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from translator.kernels.dropout import keep_mask
from translator.kernels.grouping import Group, Plan, plan

# Odd constants, so that the keys of different heads and queries are different.
_HEAD_STEP = 0x369DEA0F31A53F85
_QUERY_STEP = 0x27BB2EE687B0B0FD


def _weights(q: Tensor, k: Tensor, out: Tensor, group: Group, heads: int, scale: float) -> Tensor:
    """Write attention weights to `out: (batch, longest_q, longest_k)`, float32 or wider, and return it."""
    scores = out if out.dtype == q.dtype else torch.empty_like(out, dtype=q.dtype)
    if group.bias is not None:
        scores.view(-1, heads, *scores.shape[1:]).copy_(group.bias)
    scores.baddbmm_(q, k.transpose(1, 2), beta=int(group.bias is not None), alpha=scale)
    torch.softmax(scores if scores is out else out.copy_(scores), dim=-1, out=out)
    if group.has_fully_masked_query:
        assert group.bias is not None
        out.view(-1, heads, *out.shape[1:]).masked_fill_(group.bias < 0, 0.0)
    return out


def _keep(layout: Plan, seeds: Tensor, dropout_p: float) -> Tensor:
    """Return the dropout mask of all attention weights, `(num_weights,)` float32: a function of seed and position."""
    masks = [torch.empty(0)]
    for group in layout.groups:
        head = torch.arange(group.batch // len(group.sequences))[:, None] * _HEAD_STEP
        query = torch.arange(group.longest_q) * _QUERY_STEP
        keys = seeds[group.sequences][:, None, None] + head + query  # (num_sequences, heads, longest_q)
        masks.append(keep_mask(keys.flatten(), group.longest_k, dropout_p).flatten())
    return torch.cat(masks)


@dataclass(frozen=True)
class _Intermediate:
    """Tensors for the backward pass: buffers of queries, keys and values, all attention weights, the dropout mask."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    weights: Tensor
    keep: Tensor | None

    @property
    def dropped(self) -> Tensor:
        """The weights after dropout."""
        return self.weights if self.keep is None else self.weights * self.keep


def _forward(
    projections: Sequence[Tensor], layout: Plan, scale: float, dropout_p: float, seeds: Tensor
) -> tuple[Tensor, _Intermediate]:
    buffers: list[Tensor] = []
    for projection in projections:
        buffers += layout.gather(projection, first=len(buffers))
    queries, keys, values = buffers
    heads = projections[0].shape[2]
    weights = queries.new_empty(layout.num_weights, dtype=torch.promote_types(queries.dtype, torch.float32))
    for group in layout.groups:
        _weights(group.queries(queries), group.keys(keys), group.weights(weights), group, heads, scale)
    keep = _keep(layout, seeds, dropout_p) if dropout_p else None
    saved = _Intermediate(queries, keys, values, weights, keep)
    dropped = saved.dropped.to(values.dtype)
    out, whole = layout.empty(0, 1, like=queries)
    for group in layout.groups:
        torch.bmm(group.weights(dropped), group.keys(values), out=group.queries(out))
    return layout.scatter(whole, 0, 1).squeeze(1), saved


def _backward(
    grad_out: Tensor, saved: _Intermediate, layout: Plan, scale: float, parts: Sequence[int]
) -> tuple[Tensor, ...]:
    """Return the gradients of the projections, whose numbers of parts are `parts`."""
    (grads,) = layout.gather(grad_out.unsqueeze(1), first=0)
    grads.index_fill_(0, layout.sides[0].padding, 0.0)
    buffers: list[Tensor] = []
    wholes: list[tuple[Tensor, int, int]] = []
    for number in parts:
        *some, whole = layout.empty(len(buffers), number, like=grad_out)
        buffers += some
        wholes.append((whole, len(buffers) - number, number))
    grad_q, grad_k, grad_v = buffers
    dropped = saved.dropped.to(grads.dtype)
    for group in layout.groups:
        grad, weights = group.queries(grads), group.weights(saved.weights)
        torch.bmm(group.weights(dropped).transpose(1, 2), grad, out=group.keys(grad_v))
        grad_weights = torch.bmm(grad, group.keys(saved.values).transpose(1, 2)).to(weights.dtype)
        if saved.keep is not None:
            grad_weights.mul_(group.weights(saved.keep))
        grad_scores = torch.ops.aten._softmax_backward_data(grad_weights, weights, -1, weights.dtype).to(grad.dtype)
        group.queries(grad_q).baddbmm_(grad_scores, group.keys(saved.keys), beta=0, alpha=scale)
        queries = group.queries(saved.queries)
        group.keys(grad_k).baddbmm_(grad_scores.transpose(1, 2), queries, beta=0, alpha=scale)
    return tuple(layout.scatter(*whole) for whole in wholes)


class _GroupedAttention(torch.autograd.Function):
    """Attention in eager mode, which keeps its intermediate results."""

    @staticmethod
    def forward(ctx: Any, layout: Plan, scale: float, dropout_p: float, seeds: Tensor, *projections: Tensor) -> Tensor:
        """Return the output of attention, and keep what the backward pass needs."""
        ctx.layout, ctx.scale, ctx.parts = layout, scale, [projection.shape[1] for projection in projections]
        out, saved = _forward(projections, layout, scale, dropout_p, seeds)
        ctx.save_for_backward(saved.queries, saved.keys, saved.values, saved.weights, saved.keep)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the projections; the other arguments have none."""
        saved = _Intermediate(*ctx.saved_tensors)
        return *(None,) * 4, *_backward(grads[0], saved, ctx.layout, ctx.scale, ctx.parts)


def grouped_attention(
    projections: Sequence[Tensor],
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    causal: bool,
    scale: float,
    dropout_p: float,
    seeds: Tensor,
) -> Tensor:
    """Packed attention on the CPU; arguments as in `kernels.packed_attention`."""
    if torch.compiler.is_compiling():
        q, k, v = separated(projections)
        compiled: Tensor = grouped_attention_operator(
            q, k, v, cu_seqlens_q, cu_seqlens_k, causal, scale, dropout_p, seeds
        )
        return compiled
    num_q_tokens, _, heads, _ = projections[0].shape
    layout = plan(cu_seqlens_q, cu_seqlens_k, num_q_tokens, projections[-1].shape[0], heads, causal)
    attention: Callable[..., Tensor] = _GroupedAttention.apply
    return attention(layout, scale, dropout_p, seeds, *projections)


def separated(projections: Sequence[Tensor]) -> list[Tensor]:
    """Return queries, keys and values, each `(num_tokens, heads, head_dim)`, as views of the projections."""
    # a single part is squeezed: the gradient of unbind would be a copy
    return [part for x in projections for part in (x.unbind(1) if x.shape[1] > 1 else [x.squeeze(1)])]


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
    seeds: Tensor,
) -> Tensor:
    """`grouped_attention` under torch.compile."""
    layout = plan(cu_seqlens_q, cu_seqlens_k, q.shape[0], k.shape[0], q.shape[1], causal)
    return _forward([x.unsqueeze(1) for x in (q, k, v)], layout, scale, dropout_p, seeds)[0]


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
    seeds: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `grouped_attention` for q, k and v, from its inputs only."""
    layout = plan(cu_seqlens_q, cu_seqlens_k, q.shape[0], k.shape[0], q.shape[1], causal)
    _, saved = _forward([x.unsqueeze(1) for x in (q, k, v)], layout, scale, dropout_p, seeds)
    grad_q, grad_k, grad_v = (x.squeeze(1) for x in _backward(grad_out, saved, layout, scale, (1, 1, 1)))
    return grad_q, grad_k, grad_v


@grouped_attention_backward.register_fake
def _(grad_out: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    grad_q, grad_k, grad_v = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    return grad_q, grad_k, grad_v


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    q, k, v, cu_seqlens_q, cu_seqlens_k, ctx.causal, ctx.scale, ctx.dropout_p, seeds = inputs
    ctx.save_for_backward(q, k, v, cu_seqlens_q, cu_seqlens_k, seeds)


def _operator_backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    q, k, v, cu_seqlens_q, cu_seqlens_k, seeds = ctx.saved_tensors
    grads = grouped_attention_backward(
        grad_out, q, k, v, cu_seqlens_q, cu_seqlens_k, ctx.causal, ctx.scale, ctx.dropout_p, seeds
    )
    return *grads, None, None, None, None, None, None


grouped_attention_operator.register_autograd(_operator_backward, setup_context=_setup_context)
