"""Selection of the most probable tokens of each row of logits."""

from __future__ import annotations

import torch
from torch import Tensor

from translator.kernels.backends import triton_obstacle

_STRIP = 8  # columns per strip
_MIN_STRIPS = 8  # per token that is sought; with fewer, the strips that are searched are a large part of all
_MIN_VALUES = 50_000  # fewer are searched faster in one operation
_MAX_TRITON_COUNT = 64  # tokens per row; the kernels find them one after the other


def top_tokens(
    logits: Tensor, count: int, *, first_token: int = 0, forbidden: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the most probable tokens of each row, best first; ties: the lower token first.

    On CUDA nothing synchronizes with the device, up to 64 tokens per row. Ties are equal logits there, and on the CPU
    equal log-probabilities, which rounding makes more frequent.

    Args:
        logits: `(rows, vocab_size)` floating point. Without a kernel, contiguous float32 logits are overwritten, unless
            they require gradients.
        count: tokens per row; at most `vocab_size`.
        first_token: tokens below it get log-probability minus infinity. The others keep the probabilities of the
            model, which are not normalized again.
        forbidden: further tokens with log-probability minus infinity, `(rows, n)` int64; repeats are allowed.

    Returns:
        Log-probabilities in float32 and int64 tokens, `(rows, count)` both.

    Raises:
        ValueError: if `count` is out of range.
    """
    if not 1 <= count <= logits.shape[1]:
        raise ValueError(f"count must be at least 1 and at most vocab_size, {logits.shape[1]}. Received: {count}.")
    is_on_cpu = logits.device.type == "cpu"
    if not is_on_cpu and count <= _MAX_TRITON_COUNT and triton_obstacle(logits.device.type, logits.dtype) is None:
        from translator.kernels import triton_top_tokens as kernel  # triton is optional

        if forbidden is not None:
            return kernel.triton_allowed_tokens(logits, count, first_token, forbidden)
        found: tuple[Tensor, Tensor] = kernel.triton_top_tokens(logits.contiguous(), count, first_token)
        return found
    values = _log_softmax_in_place(logits)
    values[:, :first_token].fill_(-torch.inf)  # an assignment would create a tensor first
    if forbidden is not None:
        values.scatter_(1, forbidden, -torch.inf)
    return largest(values, count)


def _log_softmax_in_place(logits: Tensor) -> Tensor:
    """Return float32 log-probabilities, in the memory of the logits if these are float32 and require no gradients.

    A second tensor of this size leaves the caches of a CPU. torch reads a row completely before it writes it.
    """
    if logits.dtype == torch.float32 and logits.is_contiguous() and not logits.requires_grad:
        return torch.log_softmax(logits, dim=-1, out=logits)
    return logits.log_softmax(dim=-1, dtype=torch.float32)


def largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest values of each row and their columns; ties in the order of columns.

    `topk` leaves the order of equal values undefined. They are common among bfloat16 logits, so only the candidates at
    or above the last value are sorted: sorting whole rows took longer than the decoder step that computed them.
    """
    top, columns = _topk(values, min(count + 1, values.shape[1]))  # one more shows a tie with the last value
    if not bool((top[:, 1:] == top[:, :-1]).any()):
        return top[:, :count], columns[:, :count]
    columns, order = columns.sort(dim=1)
    top, order = top.gather(1, order).sort(dim=1, descending=True, stable=True)
    columns = columns.gather(1, order)
    if top.shape[1] > count:
        rows = (top[:, count] == top[:, count - 1]).nonzero().squeeze(1)
        if len(rows):
            columns[rows, :count] = _with_first_columns(values[rows], top[rows, :count], columns[rows, :count])
    return top[:, :count], columns[:, :count]


def _with_first_columns(values: Tensor, top: Tensor, columns: Tensor) -> Tensor:
    """Return the columns of the largest values, where those equal to the last value are the first such columns.

    Args:
        values: `(rows, num_columns)`.
        top: `(rows, count)`, the largest values in falling order.
        columns: `(rows, count)` int64, their columns.
    """
    last = top[:, -1:]
    is_last = values == last
    row, column = is_last.nonzero().unbind(1)
    counts = is_last.sum(dim=1)
    rank = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]  # among the equals of its row
    place = rank + (top != last).sum(dim=1)[row]
    is_kept = place < top.shape[1]
    return columns.index_put((row[is_kept], place[is_kept]), column[is_kept])


def _topk(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return `values.topk(count, dim=1)`, in half the time if there are many values.

    The largest values lie in the strips with the largest maxima; a strip is every n-th column. The maxima of all strips
    take one pass at memory speed; the best of them are found in the same way. Only the best strips are searched.
    """
    num_columns = values.shape[1]
    num_strips = num_columns // _STRIP
    if num_strips < _MIN_STRIPS * count or values.numel() < _MIN_VALUES:
        return values.topk(count, dim=1)
    strips = values[:, : num_strips * _STRIP].view(-1, _STRIP, num_strips)
    best = _topk(strips.amax(dim=1), count)[1]  # (rows, count)
    starts = torch.arange(0, num_strips * _STRIP, num_strips, device=values.device)
    columns = (best[:, None] + starts[:, None]).flatten(1)  # (rows, _STRIP * count)
    if num_strips * _STRIP < num_columns:
        rest = torch.arange(num_strips * _STRIP, num_columns, device=values.device)
        columns = torch.cat((columns, rest.expand(len(values), -1)), dim=1)
    top, places = values.gather(1, columns).topk(count, dim=1)
    return top, columns.gather(1, places)
