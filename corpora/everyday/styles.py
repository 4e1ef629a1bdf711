"""Ways people write the same words: with or without a final mark or capitals. The translation follows the source."""

from __future__ import annotations

import random
import re

from corpora.everyday.frames import Pair
from corpora.everyday.names import CITIES, ENGLISH_CITIES, GIVEN_NAMES
from corpora.everyday.slots import LANGUAGES
from corpora.phrasebook.numbers import DAYS, MONTHS

# English words that keep their capital inside a sentence.
_CAPITALIZED = frozenset(
    (
        *("I", "Mr", "Mrs", "Miss", "Dr", "God", "Christmas", "Easter", "Wi", "Coke", "French", "English", "France"),
        *(english for _, english in (*DAYS, *MONTHS, *LANGUAGES)),
        *(*GIVEN_NAMES, *CITIES, *ENGLISH_CITIES.values()),
    )
)


def in_style(draw: random.Random, french: str, english: str) -> Pair:
    """Return a phrase in a random style: bare, with a full stop or an exclamation mark, in lowercase, in capitals.

    Args:
        draw: the only source of chance.
        french: capitalized phrase without final mark, or a question without its mark.
        english: its translation. A question ends with "?", and its French gets the mark after a space, or none.
    """
    kind = draw.random()
    if kind < 0.04:
        mark = " ?" if english.endswith("?") else ""
        return french.upper() + mark, english.upper()
    if english.endswith("?"):
        return _question(kind, french, english)
    bare = english.rstrip("!.") if not english.endswith(".m.") else english
    if kind < 0.42:
        return french, bare if not english.endswith("!") else english
    if kind < 0.72:
        return f"{french}.", f"{bare}."
    if kind < 0.84:
        return f"{french} !", f"{bare}!"
    if kind < 0.89:
        return f"{french}!", f"{bare}!"
    return lowered(french), lowered(bare)


def _question(kind: float, french: str, english: str) -> Pair:
    if kind < 0.75:
        return f"{french} ?", english
    if kind < 0.83:
        return f"{french}?", english
    if kind < 0.91:
        return french, english
    return f"{lowered(french)} ?", lowered(english)


def lowered(text: str) -> str:
    """Return a text whose first letter is lowercase, unless it begins a word that keeps its capital."""
    first = re.split(r"[^\w]", text, maxsplit=1)[0]
    is_kept = first in _CAPITALIZED or text[1:2] == "." or text[1:2].isupper()
    return text if is_kept else text[:1].lower() + text[1:]


def in_word_style(draw: random.Random, french: str, english: str) -> Pair:
    """Return a lowercase word in a random style: capitalized, with a final mark, in capitals, or as it is."""
    kind = draw.random()
    if kind < 0.1:
        return french.upper(), english.upper()
    if kind < 0.5:
        return _capitalized(french), _capitalized(english)
    if kind < 0.65:
        return f"{_capitalized(french)}.", f"{_capitalized(english)}."
    if kind < 0.75:
        return f"{_capitalized(french)} !", f"{_capitalized(english)}!"
    return french, english


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
