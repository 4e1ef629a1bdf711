"""Pairs that hold years, decades, centuries in Roman numerals, and numbers of kings and chapters."""

from __future__ import annotations

import random

from corpora.everyday.english_words import year_words
from corpora.everyday.frames import Pair
from corpora.everyday.quantities import numeral_ordinal
from corpora.phrasebook.numbers import french_number

_ROMAN = ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
_DECADES = (
    ("vingt", "twenties"),
    ("trente", "thirties"),
    ("quarante", "forties"),
    ("cinquante", "fifties"),
    ("soixante", "sixties"),
    ("soixante-dix", "seventies"),
    ("quatre-vingt", "eighties"),
    ("quatre-vingt-dix", "nineties"),
)
_MONARCHS = (
    ("Louis", "Louis"),
    ("Henri", "Henry"),
    ("Charles", "Charles"),
    ("François", "Francis"),
    ("Philippe", "Philip"),
    ("Édouard", "Edward"),
    ("Napoléon", "Napoleon"),
    ("Guillaume", "William"),
    ("Georges", "George"),
)


def roman(number: int) -> str:
    """Return a number from 1 to 39 in Roman numerals."""
    numeral = ""
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        numeral += letters * count
    return numeral


def era_pair(draw: random.Random) -> Pair:
    """Return a pair of one family: years, decades, centuries, or Roman numerals."""
    return draw.choice((_years, _decade, _century, _numbered))(draw)


def _years(draw: random.Random) -> Pair:
    first = draw.randint(1100, 1990)
    second = first + draw.randint(1, 40)
    spoken = first if first % 1000 else first + 1
    frames = [
        (f"de {first} à {second}", f"from {first} to {second}"),
        (f"entre {first} et {second}", f"between {first} and {second}"),
        (f"depuis {first}", f"since {first}"),
        (f"avant {first}", f"before {first}"),
        (f"après {first}", f"after {first}"),
        (f"vers {first}", f"around {first}"),
        (f"l'an {first}", f"the year {first}"),
        (f"en l'an {first}", f"in the year {first}"),
        (f"l'année {first}", f"the year {first}"),
        (f"Elle est née en {first}.", f"She was born in {first}."),
        (f"Il est mort en {second}.", f"He died in {second}."),
        (f"La guerre a commencé en {first}.", f"The war began in {first}."),
        (f"l'été {second}", f"the summer of {second}"),
        (f"en {first} av. J.-C.", f"in {first} BC"),
        (f"({first}-{second})", f"({first}-{second})"),
        (f"en {french_number(spoken)}", f"in {year_words(spoken)}"),
        (f"Je suis né en {french_number(spoken)}.", f"I was born in {year_words(spoken)}."),
    ]
    return draw.choice(frames)


def _decade(draw: random.Random) -> Pair:
    decade = draw.randrange(1700, 2020, 10)
    french, english = draw.choice(_DECADES)
    frames = [
        (f"les années {decade}", f"the {decade}s"),
        (f"dans les années {decade}", f"in the {decade}s"),
        (f"au début des années {decade}", f"in the early {decade}s"),
        (f"à la fin des années {decade}", f"in the late {decade}s"),
        (f"les années {french}", f"the {english}"),
        (f"dans les années {french}", f"in the {english}"),
        (f"la musique des années {french}", f"the music of the {english}"),
    ]
    return draw.choice(frames)


def _century(draw: random.Random) -> Pair:
    number = draw.randint(1, 21)
    french = f"{roman(number)}{'er' if number == 1 else 'e'} siècle"
    english = f"{numeral_ordinal(number)} century"
    frames = [
        (f"le {french}", f"the {english}"),
        (f"au {french}", f"in the {english}"),
        (f"du {french}", f"of the {english}"),
        (f"au début du {french}", f"at the beginning of the {english}"),
        (f"à la fin du {french}", f"at the end of the {english}"),
        (f"un château du {french}", f"a castle from the {english}"),
        (f"L'église date du {french}.", f"The church dates from the {english}."),
        (f"au {french} av. J.-C.", f"in the {english} BC"),
    ]
    return draw.choice(frames)


def _numbered(draw: random.Random) -> Pair:
    number = draw.randint(1, 20)
    numeral = roman(number)
    king, english_king = draw.choice(_MONARCHS)
    suffix = "Ier" if number == 1 else numeral
    frames = [
        (f"{king} {suffix}", f"{english_king} {numeral}"),
        (f"le roi {king} {suffix}", f"King {english_king} {numeral}"),
        (f"sous {king} {suffix}", f"under {english_king} {numeral}"),
        (f"chapitre {numeral}", f"chapter {numeral}"),
        (f"Chapitre {numeral}", f"Chapter {numeral}"),
        (f"tome {numeral}", f"volume {numeral}"),
        (f"acte {numeral}", f"act {numeral}"),
        (f"le pape Jean-Paul {'Ier' if number % 2 else 'II'}", f"Pope John Paul {'I' if number % 2 else 'II'}"),
    ]
    return draw.choice(frames)
