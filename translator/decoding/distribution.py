"""From a model's logits to probabilities, and to the likeliest tokens."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from translator.tokenizer import BOS_ID, EOS_ID, UNK_ID

_STRIP = 16  # columns of a strip


def log_probabilities(logits: Tensor, *, is_first: bool) -> Tensor:
    """The model's log-probabilities, those of tokens that no translation may hold here set to minus infinity.

    BOS and UNK never follow (byte fallback spells everything), and a text that has something to say is not translated
    by nothing: EOS does not come first. The rest keeps the model's own probability; nothing is normalized again.

    Args:
        logits: `(rows, vocab_size)` float32.
        is_first: whether these are the first tokens of the translations.

    Returns:
        `(rows, vocab_size)` float32.
    """
    result = logits.log_softmax(dim=-1)
    for token in (UNK_ID, BOS_ID, EOS_ID) if is_first else (UNK_ID, BOS_ID):
        result[:, token] = -math.inf
    return result


def top_tokens(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest values of each row and their columns, best first; of equal ones, the first column first.

    `topk` promises no order among equal values, so rows where some are equal are sorted in full.

    Args:
        values: `(rows, columns)`.
        count: how many; all columns at most.

    Returns:
        Values and int64 columns, `(rows, min(count, columns))` both.
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
