"""English numbers in words in the British way, with "and": two hundred and three."""

from __future__ import annotations

import re

from corpora.phrasebook.numbers import english_number, english_ordinal


def number_words(number: int) -> str:
    """Return a number in English words: two hundred and three, five thousand and one.

    Raises:
        ValueError: if the number is not between 0 and 999,999.
    """
    plain = english_number(number)
    thousands, rest = divmod(number, 1000)
    hundreds, below = divmod(rest, 100)
    if thousands:
        head = f"{number_words(thousands)} thousand"
        joint = " and " if rest and not hundreds else " "
        return f"{head}{joint}{number_words(rest)}" if rest else head
    if hundreds and below:
        return f"{english_number(100 * hundreds)} and {english_number(below)}"
    return plain


def ordinal_words(number: int) -> str:
    """Return an ordinal in English words: two hundred and third."""
    last = re.split(r"[ -]", english_ordinal(number))[-1]
    return re.sub(r"[^ -]+$", last, number_words(number))


def year_words(year: int) -> str:
    """Return a year between 1100 and 1999 in words, as it is said: nineteen eighty-four, nineteen hundred."""
    century, below = divmod(year, 100)
    head = english_number(century)
    if not below:
        return f"{head} hundred"
    return f"{head} {'oh ' if below < 10 else ''}{english_number(below)}"
