"""Minimum Bayes risk: the candidate that is most similar to the others, by chrF.

The expected utility of a candidate is its mean chrF against all candidates as references (Eikema and Aziz, 2020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_MAX_ORDER = 6  # of character n-grams
_BETA = 2  # recall counts twice as much as precision


def expected_utilities(texts: Sequence[str], weights: Sequence[float]) -> list[float]:
    """Return the weighted mean chrF of each text against all of them, itself included.

    Args:
        texts: the candidates; the same text may occur more than once, as among samples.
        weights: weight of each text as a reference; of samples, the same for all.
    """
    unique = list(dict.fromkeys(texts))
    totals = dict.fromkeys(unique, 0.0)
    for text, weight in zip(texts, weights, strict=True):
        totals[text] += weight
    references = np.array([totals[text] for text in unique])
    utilities = pairwise_chrf(unique) @ references / references.sum()
    found = dict(zip(unique, utilities.tolist(), strict=True))
    return [found[text] for text in texts]


def pairwise_chrf(texts: Sequence[str]) -> Matrix:
    """Return sacreBLEU's sentence chrF (chrF2, spaces removed) of all pairs of texts, 0 to 100.

    Returns:
        `(num_texts, num_texts)`: row is the hypothesis, column the reference.
    """
    characters = ["".join(text.split()) for text in texts]
    precisions, recalls, orders = (np.zeros((len(texts), len(texts))) for _ in range(3))
    for order in range(1, _MAX_ORDER + 1):
        counts = _ngram_counts(characters, order)
        totals = counts.sum(axis=1)
        matches = np.stack([np.minimum(counts, row).sum(axis=1) for row in counts])
        is_counted = (totals[:, None] > 0) & (totals[None, :] > 0)  # sacreBLEU's effective order
        precisions += np.where(is_counted, matches / np.maximum(totals[:, None], 1), 0)
        recalls += np.where(is_counted, matches / np.maximum(totals[None, :], 1), 0)
        orders += is_counted
    precisions, recalls = (each / np.maximum(orders, 1) for each in (precisions, recalls))
    divisor = _BETA**2 * precisions + recalls
    scores: Matrix = 100 * (1 + _BETA**2) * precisions * recalls / np.where(divisor > 0, divisor, 1)
    return scores


def _ngram_counts(texts: Sequence[str], order: int) -> Matrix:
    """Return the count of each n-gram in each text: `(num_texts, num_ngrams)`, for the n-grams of all texts."""
    counted = [Counter(text[start : start + order] for start in range(len(text) - order + 1)) for text in texts]
    columns = {ngram: column for column, ngram in enumerate(dict.fromkeys(ngram for each in counted for ngram in each))}
    counts = np.zeros((len(texts), len(columns)))
    for row, ngrams in enumerate(counted):
        for ngram, count in ngrams.items():
            counts[row, columns[ngram]] = count
    return counts
