"""Numbers, clock times and dates in words."""

from __future__ import annotations

import pytest

from corpora.phrasebook.numbers import clock_time, date, english_number, english_ordinal, french_number


@pytest.mark.parametrize(
    ("number", "french", "english"),
    [
        (0, "zéro", "zero"),
        (16, "seize", "sixteen"),
        (17, "dix-sept", "seventeen"),
        (21, "vingt et un", "twenty-one"),
        (22, "vingt-deux", "twenty-two"),
        (61, "soixante et un", "sixty-one"),
        (70, "soixante-dix", "seventy"),
        (71, "soixante et onze", "seventy-one"),
        (77, "soixante-dix-sept", "seventy-seven"),
        (80, "quatre-vingts", "eighty"),
        (81, "quatre-vingt-un", "eighty-one"),
        (90, "quatre-vingt-dix", "ninety"),
        (91, "quatre-vingt-onze", "ninety-one"),
        (99, "quatre-vingt-dix-neuf", "ninety-nine"),
        (100, "cent", "one hundred"),
        (101, "cent un", "one hundred one"),
        (180, "cent quatre-vingts", "one hundred eighty"),
        (200, "deux cents", "two hundred"),
        (201, "deux cent un", "two hundred one"),
        (1000, "mille", "one thousand"),
        (1999, "mille neuf cent quatre-vingt-dix-neuf", "one thousand nine hundred ninety-nine"),
        (2000, "deux mille", "two thousand"),
        (2200, "deux mille deux cents", "two thousand two hundred"),
        (9999, "neuf mille neuf cent quatre-vingt-dix-neuf", "nine thousand nine hundred ninety-nine"),
    ],
)
def test_tricky_numbers(number: int, french: str, english: str) -> None:
    assert (french_number(number), english_number(number)) == (french, english)


def test_every_number_has_a_name_of_its_own_in_both_languages() -> None:
    assert len({french_number(number) for number in range(0, 1_000_000, 7)}) == 142_858
    assert len({english_number(number) for number in range(0, 1_000_000, 7)}) == 142_858


def test_a_final_one_agrees_with_a_feminine_noun() -> None:
    assert french_number(21, is_feminine=True) == "vingt et une"
    assert french_number(81, is_feminine=True) == "quatre-vingt-une"
    assert french_number(11, is_feminine=True) == "onze"


@pytest.mark.parametrize("number", [-1, 1_000_000])
def test_a_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 999999"):
        french_number(number)
    with pytest.raises(ValueError, match="between 0 and 999999"):
        english_number(number)


@pytest.mark.parametrize(
    ("hour", "minute", "french", "english"),
    [
        (3, 0, "trois heures", "three o'clock"),
        (1, 5, "une heure cinq", "five past one"),
        (15, 15, "trois heures et quart", "a quarter past three"),
        (12, 0, "midi", "noon"),
        (12, 30, "midi et demi", "half past noon"),
        (4, 30, "quatre heures et demie", "half past four"),
        (23, 45, "minuit moins le quart", "a quarter to midnight"),
        (0, 40, "une heure moins vingt", "twenty to one"),
    ],
)
def test_clock_times(hour: int, minute: int, french: str, english: str) -> None:
    assert clock_time(hour, minute) == (french, english)


def test_the_first_of_a_month_is_an_ordinal() -> None:
    assert date(1, 0) == ("1er janvier", "January 1")
    assert date(14, 6) == ("14 juillet", "July 14")


def test_ordinals() -> None:
    assert [english_ordinal(n) for n in (1, 2, 12, 20, 23)] == [
        "first",
        "second",
        "twelfth",
        "twentieth",
        "twenty-third",
    ]
