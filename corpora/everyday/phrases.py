"""Pairs from the phrases of the lexicon: greetings, courtesies, signs, labels, questions, idioms."""

from __future__ import annotations

import random
from pathlib import Path

from corpora.everyday.frames import Pair
from corpora.everyday.slots import SLOT, filled
from corpora.everyday.styles import in_style
from corpora.tables import read_table

THEMES = tuple(sorted(path.stem for path in (Path(__file__).parent / "lexicon" / "phrases").glob("*.tsv")))
_COURTESY_DRAWS = 20
_PHRASE_DRAWS = 8


def courtesies() -> list[Pair]:
    """Return the courtesies and signs that are most frequent."""
    return [(french, english) for french, english in read_table("everyday", "courtesies")]


def phrases(theme: str) -> list[Pair]:
    """Return the phrases of a theme, such as `weather`."""
    return [(french, english) for french, english in read_table("everyday", f"phrases/{theme}")]


def courtesy_pairs(draw: random.Random) -> list[Pair]:
    """Return each courtesy several times in random styles. Repetitions stay: they are the frequent ones."""
    return _drawn(draw, courtesies(), _COURTESY_DRAWS)


def phrase_pairs(draw: random.Random) -> list[Pair]:
    """Return the distinct pairs among several random styles of each phrase; twice as many draws for one with slots."""
    rows = [pair for theme in THEMES for pair in phrases(theme)]
    fixed = _drawn(draw, [pair for pair in rows if not SLOT.search(pair[0])], _PHRASE_DRAWS)
    return list(dict.fromkeys(fixed + _drawn(draw, [pair for pair in rows if SLOT.search(pair[0])], 2 * _PHRASE_DRAWS)))


def _drawn(draw: random.Random, rows: list[Pair], count: int) -> list[Pair]:
    return [in_style(draw, *filled(draw, *pair)) for pair in rows for _ in range(count)]
