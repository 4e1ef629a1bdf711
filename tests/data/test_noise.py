"""What hides parts of a text: how much, where, and that nothing is lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from translator.data.noise import hide_spans, hide_tokens, mask_tokens, permute_sentences
from translator.packing import IGNORE_INDEX

SENTINELS = (3, 4, 5, 6)
MASK = 3


def texts() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(10, 60, length) for length in [*range(0, 40), 200]]


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5])
@pytest.mark.parametrize("span_length", [1.0, 3.0])
def test_hidden_spans_put_back_at_their_sentinels_give_the_text(share: float, span_length: float) -> None:
    for number, text in enumerate(texts()):
        read, hidden = hide_spans(text, np.random.default_rng(number), share, span_length, SENTINELS)
        spans: dict[int, list[int]] = {}
        for piece in hidden.tolist():
            if piece in SENTINELS:
                spans[piece] = []
            else:
                spans[list(spans)[-1]].append(piece)
        restored = [piece for each in read.tolist() for piece in spans.get(each, [each])]
        assert restored == text.tolist()
        assert list(spans) == list(SENTINELS[: len(spans)])
        assert all(spans.values())
        assert len(read) <= len(text) and len(hidden) <= max(2, len(text))
        is_sentinel = np.isin(read, SENTINELS)
        assert not (is_sentinel[1:] & is_sentinel[:-1]).any()


def test_a_share_of_the_pieces_is_hidden_and_one_at_least() -> None:
    for number, text in enumerate(texts()):
        rng = np.random.default_rng(number)
        wanted = max(1, round(0.15 * len(text))) if len(text) else 0
        hidden = hide_tokens(text, rng, 0.15, MASK)
        assert (hidden == MASK).sum() == wanted
        assert (hidden[hidden != MASK] == text[hidden != MASK]).all()
        read, labels = mask_tokens(text, rng, 0.15, MASK, 60)
        is_chosen = labels != IGNORE_INDEX
        assert is_chosen.sum() == wanted
        assert (labels[is_chosen] == text[is_chosen]).all()
        assert (read[~is_chosen] == text[~is_chosen]).all()


def test_chosen_pieces_are_mostly_masked_some_replaced_and_some_left() -> None:
    text = np.full(20_000, 10)
    read, labels = mask_tokens(text, np.random.default_rng(1), 0.5, MASK, 60)
    chosen = read[labels != IGNORE_INDEX]
    assert np.mean(chosen == MASK) == pytest.approx(0.8, abs=0.02)
    assert np.mean((chosen != MASK) & (chosen != 10)) == pytest.approx(0.1, abs=0.02)
    assert np.mean(chosen == 10) == pytest.approx(0.1, abs=0.02)
    assert chosen.min() > 2


def test_sentences_are_shuffled_whole() -> None:
    text = np.array([10, 11, 1, 12, 1, 2, 13, 14, 2])
    sentences = {(10, 11, 1), (12, 1, 2), (13, 14, 2)}
    orders = set()
    for seed in range(30):
        shuffled = permute_sentences(text, np.random.default_rng(seed), (1, 2)).tolist()
        assert sorted(shuffled) == sorted(text.tolist())
        is_end = [i for i in range(9) if shuffled[i] in (1, 2) and (i == 8 or shuffled[i + 1] not in (1, 2))]
        starts = [0, *(i + 1 for i in is_end)]
        assert {tuple(shuffled[a:b]) for a, b in pairwise(starts)} == sentences
        orders.add(tuple(shuffled))
    assert len(orders) == 6
