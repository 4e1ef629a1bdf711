"""Dates, eras and clock times of the everyday corpus."""

from __future__ import annotations

import random
import re

import pytest

from corpora.everyday.dates_and_times import date_pair, time_pair, twelve_hour_time
from corpora.everyday.eras import era_pair, roman
from corpora.everyday.frames import Pair


def _drawn(make: object, count: int = 6000) -> set[Pair]:
    draw = random.Random(1)
    assert callable(make)
    return {make(draw) for _ in range(count)}


@pytest.mark.parametrize(
    ("hour", "minute", "has_minutes", "time"),
    [
        (18, 30, True, "6:30 p.m."),
        (20, 0, False, "8 p.m."),
        (20, 0, True, "8:00 p.m."),
        (8, 5, True, "8:05"),
        (8, 0, False, "8 o'clock"),
        (12, 30, True, "12:30"),
        (0, 15, True, "12:15 a.m."),
        (13, 0, False, "1 p.m."),
    ],
)
def test_clock_times_in_digits(hour: int, minute: int, has_minutes: bool, time: str) -> None:
    assert twelve_hour_time(hour, minute, has_minutes) == time


@pytest.mark.parametrize(("number", "numeral"), [(1, "I"), (4, "IV"), (9, "IX"), (14, "XIV"), (19, "XIX"), (20, "XX")])
def test_roman_numerals(number: int, numeral: str) -> None:
    assert roman(number) == numeral


def test_times_end_with_one_full_stop_and_keep_their_minutes() -> None:
    pairs = _drawn(time_pair)
    assert ("Le train part à 18h30.", "The train leaves at 6:30 p.m.") in pairs
    assert not [pair for pair in pairs if ".." in pair[1]]
    for french, english in pairs:
        found = re.search(r"\d\s?h\s?(\d\d)", french)
        assert not found or f":{found[1]}" in english, french


def test_dates_elide_de_before_a_vowel() -> None:
    pairs = _drawn(date_pair)
    assert ("au mois d'août", "in the month of August") in pairs
    assert not [french for french, _ in pairs if re.search(r"\bde [ao]", french)]


def test_centuries_in_roman_numerals_are_ordinals_in_english() -> None:
    pairs = _drawn(era_pair, 40000)
    assert {
        ("au XIXe siècle", "in the 19th century"),
        ("du Ier siècle", "of the 1st century"),
        ("Louis XIV", "Louis XIV"),
        ("Napoléon Ier", "Napoleon I"),
        ("dans les années quatre-vingt", "in the eighties"),
    } <= pairs


def test_years_in_digits_stay() -> None:
    for french, english in _drawn(era_pair):
        assert re.findall(r"\d{4}", french) == re.findall(r"\d{4}", english)
