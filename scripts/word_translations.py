"""Translations of single words, estimated from sentence pairs with IBM model 1 in both directions.

Model 1 (Brown et al. 1993, "The Mathematics of Statistical Machine Translation") explains each word of a sentence by
one word of its translation, or by none, regardless of positions. A few steps of expectation maximization turn counts
of words that occur together into translation probabilities.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MAX_PAIRS = 260_000
MAX_WORDS = 22  # distinct words of a side: long sentences add many links and little evidence
MIN_COUNT = 3
ITERATIONS = 5
MIN_PROBABILITY = 0.08  # less probable translations are not kept

_TOKEN = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*['’]?|\d+|[^\w\s]|\s+|_")
_NO_WORD = ""  # explains words that have no counterpart


class Link(NamedTuple):
    """Probability of a translation, and the expected number of times that it occurs in the sentence pairs."""

    probability: float
    occurrences: float


Table = dict[str, dict[str, Link]]


def tokens(text: str) -> list[str]:
    """Split a text into words, numbers, single marks and spaces; joined, they are the text. `l'` is a word."""
    return _TOKEN.findall(text.replace("’", "'"))


def words(text: str) -> set[str]:
    """Return the distinct lowercase words of a text, without numbers and marks."""
    return {token.rstrip("'") for token in tokens(text.lower()) if token[0].isalpha()}


@dataclass(frozen=True)
class WordTranslations:
    """Probable translations of each word, from French to English (`forward`) and from English to French."""

    forward: Table
    backward: Table

    def strength(self, french: str, english: str) -> float:
        """Return how probable a translation is: for two words, the sum of the probabilities in both directions.

        For phrases, each French word counts with the English word that suits it best.
        """
        return sum(max((self._strength(word, other) for other in words(english)), default=0) for word in words(french))

    def _strength(self, french: str, english: str) -> float:
        nothing = Link(0, 0)
        forward = self.forward.get(french, {}).get(english, nothing)
        return forward.probability + self.backward.get(english, {}).get(french, nothing).probability

    def mutual(self) -> dict[str, str]:
        """Return the words that are each other's probable translation and differ, with the most probable one."""
        found = {}
        for french, table in self.forward.items():
            choices = [
                (link.probability, english)
                for english, link in table.items()
                if link.probability > 0.35
                and link.occurrences >= MIN_COUNT
                and len(english) > 1
                and self.backward.get(english, {}).get(french, Link(0, 0)).probability > 0.2
            ]
            if choices and len(french) > 2 and max(choices)[1] != french:
                found[french] = max(choices)[1]
        return found


def estimate(pairs: Sequence[tuple[str, str]], seed: int = 1) -> WordTranslations:
    """Estimate word translations from French-English pairs, a random sample of them if they are many."""
    chosen = random.Random(seed).sample(pairs, min(MAX_PAIRS, len(pairs)))
    bags = [(words(french), words(english)) for french, english in chosen]
    bags = [(french, english) for french, english in bags if max(len(french), len(english)) <= MAX_WORDS]
    french_words = _vocabulary(french for french, _ in bags)
    english_words = _vocabulary(english for _, english in bags)
    encoded = [
        ([french_words[word] for word in sorted(french) if word in french_words],
         [english_words[word] for word in sorted(english) if word in english_words])
        for french, english in bags
    ]  # fmt: skip
    del bags
    encoded = [(french, english) for french, english in encoded if french and english]
    return WordTranslations(
        _model_1(encoded, list(french_words), list(english_words)),
        _model_1([(english, french) for french, english in encoded], list(english_words), list(french_words)),
    )


def _vocabulary(bags: Iterable[set[str]]) -> dict[str, int]:
    counts = Counter(word for bag in bags for word in bag)
    return {word: number for number, word in enumerate(sorted(w for w, count in counts.items() if count >= MIN_COUNT))}


def _model_1(pairs: list[tuple[list[int], list[int]]], source: list[str], target: list[str]) -> Table:
    """Return the probable translations of each source word.

    Args:
        pairs: words of the two sides of each sentence pair, as indices of `source` and `target`
        source: source words
        target: target words
    """
    if not pairs:
        return {}
    names = [*source, _NO_WORD]
    # One link per source word (or none) and target word of each pair. Links of one target word compete.
    links, competition, number = [], [], 0
    for source_ids, target_ids in pairs:
        row = np.array([*source_ids, len(source)], np.int64)
        column = np.array(target_ids, np.int64)
        links.append((row[None, :] * len(target) + column[:, None]).ravel())
        competition.append(np.repeat(np.arange(number, number + len(column), dtype=np.int32), len(row)))
        number += len(column)
    keys, inverse = np.unique(np.concatenate(links), return_inverse=True)
    kind, group = inverse.astype(np.int32), np.concatenate(competition)
    del links, competition, inverse
    source_of, target_of = (keys // len(target)).astype(np.int32), (keys % len(target)).astype(np.int32)
    expected = np.ones(len(keys), np.float32)
    for _ in range(ITERATIONS):
        probability = (expected / np.bincount(source_of, weights=expected)[source_of]).astype(np.float32)
        share = probability[kind]
        share /= np.bincount(group, weights=share)[group].astype(np.float32)
        expected = np.bincount(kind, weights=share).astype(np.float32)
    probability = (expected / np.bincount(source_of, weights=expected)[source_of]).astype(np.float32)
    table: Table = {}
    for index in np.nonzero((probability > MIN_PROBABILITY) & (expected > 1))[0]:
        if source_of[index] < len(source):
            link = Link(float(probability[index]), float(expected[index]))
            table.setdefault(names[source_of[index]], {})[target[target_of[index]]] = link
    return table
