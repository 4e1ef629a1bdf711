"""Corruption of texts for pre-training objectives, with a random generator as an argument."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from translator.data.store import IntArray
from translator.packing import IGNORE_INDEX
from translator.tokenizer import EOS_ID

_MASKED, _REPLACED = 0.8, 0.1  # of the selected tokens; the others are unchanged (Devlin et al., 2019, section 3.1)


def mask_tokens(
    pieces: IntArray, rng: np.random.Generator, share: float, mask: int, vocab_size: int
) -> tuple[IntArray, IntArray]:
    """Select tokens to predict: replace most by the mask and some by random tokens, and keep the others.

    Args:
        pieces: `(n,)` token ids.
        rng: random generator.
        share: fraction of the tokens that is selected, at least one token.
        mask: id of the mask.
        vocab_size: random tokens are drawn from this many ids, special tokens excluded.

    Returns:
        The corrupted text, and the selected tokens with IGNORE_INDEX elsewhere: two `(n,)` int64 arrays.
    """
    selected = _sample_indices(len(pieces), rng, share)
    fates = rng.random(len(selected))
    others = rng.integers(EOS_ID + 1, vocab_size, len(selected))
    read, labels = pieces.astype(np.int64), np.full(len(pieces), IGNORE_INDEX)
    labels[selected] = pieces[selected]
    read[selected] = np.where(fates < _MASKED, mask, np.where(fates < _MASKED + _REPLACED, others, pieces[selected]))
    return read, labels


def hide_tokens(pieces: IntArray, rng: np.random.Generator, share: float, mask: int) -> IntArray:
    """Replace a fraction of the tokens, at least one, by the mask: `(n,)` to `(n,)` int64."""
    read = pieces.astype(np.int64)
    read[_sample_indices(len(pieces), rng, share)] = mask
    return read


def hide_spans(
    pieces: IntArray, rng: np.random.Generator, share: float, span_length: float, sentinels: Sequence[int]
) -> tuple[IntArray, IntArray]:
    """Replace spans of tokens by sentinels (Raffel et al., 2020, section 3.1.4).

    Args:
        pieces: `(n,)` token ids.
        rng: random generator.
        share: fraction of the tokens that is hidden: at least one token, at most half of them.
        span_length: mean length of a span.
        sentinels: ids of the sentinels, which limit the number of spans.

    Returns:
        The text with a sentinel instead of each span, which is not longer than the original text; and each sentinel
        followed by its span, which is not longer than the text if that has at least two tokens.
    """
    if not len(pieces):
        return pieces.astype(np.int64), pieces.astype(np.int64)
    num_hidden = max(1, min(round(len(pieces) * share), len(pieces) // 2))
    num_spans = min(max(1, round(num_hidden / span_length)), len(sentinels), len(pieces) - num_hidden + 1)
    cuts = np.sort(rng.choice(num_hidden - 1, num_spans - 1, replace=False)) + 1
    lengths = np.diff(np.concatenate([[0], cuts, [num_hidden]]))
    # A gap in the visible text holds at most one span, so that spans are never adjacent.
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
    """Shuffle the sentences of a text (Lewis et al., 2020, section 2.2): `(n,)` to `(n,)`.

    Args:
        pieces: `(n,)` token ids.
        rng: random generator.
        sentence_ends: ids of the tokens that end a sentence.
    """
    is_end = np.isin(pieces, list(sentence_ends))
    is_end[:-1] &= ~is_end[1:]  # of "?!" only the last
    sentences = np.split(pieces, np.flatnonzero(is_end[:-1]) + 1)
    return np.concatenate([sentences[number] for number in rng.permutation(len(sentences))])


def _sample_indices(count: int, rng: np.random.Generator, share: float) -> IntArray:
    """Return the sorted indices of a random fraction of `count` tokens, at least one."""
    size = max(1, round(count * share)) if count else 0
    return np.sort(rng.choice(count, size, replace=False)) if size else np.empty(0, np.int64)
