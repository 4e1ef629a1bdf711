"""Ways to damage a text that a model learns to repair; each draws from the generator that it is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from translator.data.store import IntArray
from translator.packing import IGNORE_INDEX
from translator.tokenizer import EOS_ID

_MASKED, _REPLACED = 0.8, 0.1  # of the chosen pieces; the rest stays as it is (Devlin et al., 2019, section 3.1)


def mask_tokens(
    pieces: IntArray, rng: np.random.Generator, share: float, mask: int, vocab_size: int
) -> tuple[IntArray, IntArray]:
    """Choose pieces to be restored: most are masked, some replaced by any other, some left to be doubted.

    Args:
        pieces: `(n,)` ids.
        rng: to draw from.
        share: of the pieces; one at least.
        mask: id.
        vocab_size: ids that a replacement is drawn from, special ones apart.

    Returns:
        The text as it is read, and the chosen pieces at their places, IGNORE_INDEX elsewhere: `(n,)` int64 both.
    """
    chosen = _chosen(len(pieces), rng, share)
    fates = rng.random(len(chosen))
    others = rng.integers(EOS_ID + 1, vocab_size, len(chosen))
    read, labels = pieces.astype(np.int64), np.full(len(pieces), IGNORE_INDEX)
    labels[chosen] = pieces[chosen]
    read[chosen] = np.where(fates < _MASKED, mask, np.where(fates < _MASKED + _REPLACED, others, pieces[chosen]))
    return read, labels


def hide_tokens(pieces: IntArray, rng: np.random.Generator, share: float, mask: int) -> IntArray:
    """The text with a share of its pieces, one at least, each replaced by the mask: `(n,)` to `(n,)` int64."""
    read = pieces.astype(np.int64)
    read[_chosen(len(pieces), rng, share)] = mask
    return read


def hide_spans(
    pieces: IntArray, rng: np.random.Generator, share: float, span_length: float, sentinels: Sequence[int]
) -> tuple[IntArray, IntArray]:
    """Replace runs of pieces by sentinels (Raffel et al., 2020, section 3.1.4).

    Args:
        pieces: `(n,)` ids.
        rng: to draw from.
        share: of the pieces that are hidden, at most half; one at least.
        span_length: mean length of a run.
        sentinels: ids; there are no more runs than these.

    Returns:
        The text with a sentinel for each run, at most as long as it was; and each sentinel with its run, no longer than
        the text where that has two pieces or more.
    """
    if not len(pieces):
        return pieces.astype(np.int64), pieces.astype(np.int64)
    num_hidden = max(1, min(round(len(pieces) * share), len(pieces) // 2))
    num_spans = min(max(1, round(num_hidden / span_length)), len(sentinels), len(pieces) - num_hidden + 1)
    cuts = np.sort(rng.choice(num_hidden - 1, num_spans - 1, replace=False)) + 1
    lengths = np.diff(np.concatenate([[0], cuts, [num_hidden]]))
    # A gap of the visible text holds one run at most, so that two runs never touch.
    gaps = np.sort(rng.choice(len(pieces) - num_hidden + 1, num_spans, replace=False))
    starts = gaps + np.cumsum(lengths) - lengths
    read: list[Any] = []
    hidden: list[Any] = []
    place = 0
    for sentinel, start, length in zip(sentinels, starts.tolist(), lengths.tolist(), strict=False):
        read += [pieces[place:start], [sentinel]]
        hidden += [[sentinel], pieces[start : start + length]]
        place = start + length
    return np.concatenate([*read, pieces[place:]]).astype(np.int64), np.concatenate(hidden).astype(np.int64)


def permute_sentences(pieces: IntArray, rng: np.random.Generator, sentence_ends: Collection[int]) -> IntArray:
    """The sentences of a text in any order (Lewis et al., 2020, section 2.2): `(n,)` to `(n,)`.

    Args:
        pieces: `(n,)` ids.
        rng: to draw from.
        sentence_ends: ids after which a sentence ends.
    """
    is_end = np.isin(pieces, list(sentence_ends))
    is_end[:-1] &= ~is_end[1:]  # of "?!" the last
    sentences = np.split(pieces, np.flatnonzero(is_end[:-1]) + 1)
    return np.concatenate([sentences[number] for number in rng.permutation(len(sentences))])


def _chosen(count: int, rng: np.random.Generator, share: float) -> IntArray:
    """Places of a share of so many pieces, one at least, ascending."""
    size = max(1, round(count * share)) if count else 0
    return np.sort(rng.choice(count, size, replace=False)) if size else np.empty(0, np.int64)
