"""The likeliest next tokens of many texts at once, which is what a search asks of a row of logits."""

from __future__ import annotations

import torch
from torch import Tensor

from translator.kernels.backends import triton_obstacle

_STRIP = 16  # columns of a strip
_MOST_BY_TRITON = 64  # tokens of a row, which its kernels find one after the other


def top_tokens(
    logits: Tensor, count: int, *, first_token: int = 0, forbidden: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The likeliest tokens of each row, best first; of equal ones, the lower token first.

    On CUDA nothing waits for the device, up to 64 tokens of a row. What counts as equal is the logit there, and the
    log-probability, which rounding makes equal more often, on the CPU.

    Args:
        logits: `(rows, vocab_size)` floating point.
        count: how many; at most `vocab_size`.
        first_token: tokens below it have log-probability minus infinity. The others keep the model's own: nothing is
            normalized again.
        forbidden: more tokens of each row with log-probability minus infinity, `(rows, n)` int64; may repeat.

    Returns:
        Log-probabilities in float32 and int64 tokens, `(rows, count)` both.

    Raises:
        ValueError: `count` is out of its range.
    """
    if not 1 <= count <= logits.shape[1]:
        raise ValueError(f"count must be at least 1 and at most vocab_size, {logits.shape[1]}. Received: {count}.")
    is_on_cpu = logits.device.type == "cpu"
    if not is_on_cpu and count <= _MOST_BY_TRITON and triton_obstacle(logits.device.type, logits.dtype) is None:
        from translator.kernels import triton_top_tokens as kernel  # triton may not be installed

        if forbidden is not None:
            return kernel.triton_allowed_tokens(logits, count, first_token, forbidden)
        found: tuple[Tensor, Tensor] = kernel.triton_top_tokens(logits.contiguous(), count, first_token)
        return found
    values = logits.log_softmax(dim=-1, dtype=torch.float32)
    values[:, :first_token] = -torch.inf
    if forbidden is not None:
        values.scatter_(1, forbidden, -torch.inf)
    return _in_order(values, count)


def _in_order(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest values of each row and their columns; of equal ones, the first column first.

    `topk` promises no order among equal values, so rows where some are equal are sorted in full.
    """
    top, columns = _topk(values, min(count + 1, values.shape[1]))  # one more shows a tie across the cut
    tied = (top[:, 1:] == top[:, :-1]).any(dim=1).nonzero().squeeze(1)
    if len(tied):
        in_order, order = values[tied].sort(dim=1, descending=True, stable=True)
        top[tied], columns[tied] = in_order[:, : top.shape[1]], order[:, : top.shape[1]]
    return top[:, :count], columns[:, :count]


def _topk(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`values.topk(count, dim=1)`, in half the time where rows are much wider than `count`.

    The greatest values lie in the strips with the greatest maxima, a strip being every n-th column. Maxima of all
    strips take one pass at the speed of memory; only the best strips are then searched.
    """
    num_columns = values.shape[1]
    num_strips = num_columns // _STRIP
    if num_strips < _STRIP * count:
        return values.topk(count, dim=1)
    strips = values[:, : num_strips * _STRIP].view(-1, _STRIP, num_strips)
    best = strips.amax(dim=1).topk(count, dim=1).indices  # (rows, count)
    starts = torch.arange(0, num_strips * _STRIP, num_strips, device=values.device)
    columns = (best[:, None] + starts[:, None]).flatten(1)  # (rows, _STRIP * count)
    rest = torch.arange(num_strips * _STRIP, num_columns, device=values.device)
    columns = torch.cat((columns, rest.expand(len(values), -1)), dim=1)
    top, places = values.gather(1, columns).topk(count, dim=1)
    return top, columns.gather(1, places)
