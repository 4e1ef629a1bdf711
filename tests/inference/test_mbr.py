from __future__ import annotations

import pytest
from sacrebleu.metrics import CHRF

from translator.inference.mbr import expected_utilities, pairwise_chrf

TEXTS = [
    "The cat sleeps on the sofa.",
    "The cat is sleeping on the couch.",
    "A dog barks.",
    "",
    "no",
    "Cats sleep  on sofas",
    "The cat sleeps.",
]


def test_similarity_is_the_sentence_chrf_of_sacrebleu() -> None:
    found, metric = pairwise_chrf(TEXTS), CHRF()
    for row, hypothesis in enumerate(TEXTS):
        for column, reference in enumerate(TEXTS):
            expected = metric.sentence_score(hypothesis, [reference]).score
            assert found[row, column] == pytest.approx(expected, abs=1e-9)


def test_the_utility_of_a_text_is_its_mean_similarity_to_all() -> None:
    texts, weights = ["no", "no", "yes"], [1.0, 1.0, 2.0]
    assert expected_utilities(texts, weights) == pytest.approx([50.0, 50.0, 50.0])
    assert expected_utilities(texts, [1.0] * 3) == pytest.approx([200 / 3, 200 / 3, 100 / 3])


def test_a_text_without_characters_has_no_utility() -> None:
    assert expected_utilities(["", ""], [1.0, 1.0]) == [0.0, 0.0]
