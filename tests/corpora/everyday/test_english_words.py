"""English numbers in words with "and"."""

from __future__ import annotations

import pytest

from corpora.everyday.english_words import number_words, ordinal_words, year_words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (21, "twenty-one"),
        (100, "one hundred"),
        (203, "two hundred and three"),
        (999, "nine hundred and ninety-nine"),
        (1000, "one thousand"),
        (5001, "five thousand and one"),
        (5100, "five thousand one hundred"),
        (5121, "five thousand one hundred and twenty-one"),
        (101_002, "one hundred and one thousand and two"),
        (999_999, "nine hundred and ninety-nine thousand nine hundred and ninety-nine"),
    ],
)
def test_numbers(number: int, words: str) -> None:
    assert number_words(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "first"), (12, "twelfth"), (20, "twentieth"), (42, "forty-second"), (203, "two hundred and third")],
)
def test_ordinals(number: int, words: str) -> None:
    assert ordinal_words(number) == words


@pytest.mark.parametrize(
    ("year", "words"), [(1984, "nineteen eighty-four"), (1900, "nineteen hundred"), (1805, "eighteen oh five")]
)
def test_years(year: int, words: str) -> None:
    assert year_words(year) == words


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 999999"):
        number_words(-1)
