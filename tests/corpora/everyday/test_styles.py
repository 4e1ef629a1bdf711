"""Styles of writing: the final mark and the capitals of the translation follow the source."""

from __future__ import annotations

import random

import pytest

from corpora.everyday.styles import in_style, lowered


def _styles(french: str, english: str) -> set[tuple[str, str]]:
    draw = random.Random(1)
    return {in_style(draw, french, english) for _ in range(300)}


def test_a_phrase_has_the_mark_that_its_source_has() -> None:
    assert _styles("Pas mal", "Not bad") == {
        ("Pas mal", "Not bad"),
        ("Pas mal.", "Not bad."),
        ("Pas mal !", "Not bad!"),
        ("Pas mal!", "Not bad!"),
        ("pas mal", "not bad"),
        ("PAS MAL", "NOT BAD"),
    }


def test_a_question_always_has_its_mark_in_english() -> None:
    assert _styles("Ça va", "How are you?") == {
        ("Ça va ?", "How are you?"),
        ("Ça va?", "How are you?"),
        ("Ça va", "How are you?"),
        ("ça va ?", "how are you?"),
        ("ÇA VA ?", "HOW ARE YOU?"),
    }


def test_an_exclamation_keeps_its_mark_in_english_if_the_source_has_none() -> None:
    assert ("Au feu", "Fire!") in _styles("Au feu", "Fire!")


@pytest.mark.parametrize(
    "text", ["I'm here", "Monday is free", "Wi-Fi", "P.O. box", "French cheese", "CCTV in operation"]
)
def test_words_that_keep_their_capital_stay(text: str) -> None:
    assert lowered(text) == text


def test_other_words_lose_their_capital() -> None:
    assert lowered("Émile est là") == "émile est là"
    assert lowered("It's cold") == "it's cold"
