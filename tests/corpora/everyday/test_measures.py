"""Measures of the everyday corpus."""

from __future__ import annotations

import random
import re

import pytest

from corpora.everyday.frames import Pair
from corpora.everyday.measures import measure_pair


@pytest.fixture(scope="module")
def pairs() -> set[Pair]:
    draw = random.Random(1)
    return {measure_pair(draw) for _ in range(20000)}


def test_digits_are_the_same_on_both_sides(pairs: set[Pair]) -> None:
    with_digits = [pair for pair in pairs if re.search(r"\d", pair[0])]
    assert len(with_digits) > 3000
    for french, english in with_digits:
        assert re.findall(r"\d", french) == re.findall(r"\d", english), french


def test_separators_are_those_of_the_language(pairs: set[Pair]) -> None:
    assert not [english for _, english in pairs if re.search(r"\d[ \u00a0\u202f]\d{3}\b", english)]
    assert not [french for french, _ in pairs if re.search(r"\d\.\d", french)]


@pytest.mark.parametrize(
    "pair",
    [
        ("trois quarts", "three quarters"),
        ("une vingtaine de personnes", "about twenty people"),
        ("des milliers de livres", "thousands of books"),
    ],
)
def test_fractions_and_approximate_amounts(pair: Pair, pairs: set[Pair]) -> None:
    assert pair in pairs


@pytest.mark.parametrize(
    ("french", "english"),
    [
        (r"Il fait (\d+)[ \u00a0\u202f]°C\.", "It's {}°C."),
        (r"à l'âge de (\d+) ans", "at the age of {}"),
        (r"toutes les (\d+) minutes", "every {} minutes"),
        (r"tous les (\d+) ans", "every {} years"),
        (r"plus de (\d+) mètres", "more than {} metres"),
        (r"(\d+) millions d'euros", "{} million euros"),
        (r"(\d+) milliards de dollars", "{} billion dollars"),
        (r"(\d+)% de la population", "{}% of the population"),
    ],
)
def test_families_of_measures(french: str, english: str, pairs: set[Pair]) -> None:
    found = [(match, target) for source, target in pairs if (match := re.fullmatch(french, source))]
    assert found
    assert all(target == english.format(match[1]) for match, target in found)
