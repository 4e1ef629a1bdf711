"""Generator of short everyday pairs that running text lacks: numbers, dates, times, prices, names, phrases, words.

    python -m corpora.everyday data/everyday.parquet

The pairs are a function of the seed alone. Numbers reach a million. Made-up names and codes teach copying. The tables
in `lexicon/` hold courtesies and phrases, with slots such as `{name}`, and words. Each table has two columns.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from corpora.everyday.dates_and_times import date_pair, time_pair
from corpora.everyday.frames import Pair
from corpora.everyday.measures import measure_pair
from corpora.everyday.names import copy_pair
from corpora.everyday.phrases import courtesy_pairs, phrase_pairs
from corpora.everyday.quantities import number_pair, ordinal_pair, price_pair
from corpora.everyday.words import word_pairs

__all__ = ["generate"]

# Kind, function that draws one pair, number of draws.
_DRAWN: dict[str, tuple[Callable[[random.Random], Pair], int]] = {
    "number": (number_pair, 20000),
    "ordinal": (ordinal_pair, 3000),
    "date": (date_pair, 11000),
    "time": (time_pair, 7000),
    "price": (price_pair, 8000),
    "copy": (copy_pair, 12000),
    "measure": (measure_pair, 12000),
}
# Kind, function that returns all pairs.
_LISTED: dict[str, Callable[[random.Random], list[Pair]]] = {
    "courtesy": courtesy_pairs,
    "phrase": phrase_pairs,
    "word": word_pairs,
}


def generate(seed: int = 1) -> list[tuple[str, str, str]]:
    """Return distinct (French, English, kind) rows in a fixed order; courtesies keep their repetitions."""
    rows: list[tuple[str, str, str]] = []
    for kind, (make, count) in _DRAWN.items():
        draw = random.Random(f"{seed} {kind}")
        rows += [(*pair, kind) for pair in dict.fromkeys(make(draw) for _ in range(count))]
    for kind, make_all in _LISTED.items():
        rows += [(*pair, kind) for pair in make_all(random.Random(f"{seed} {kind}"))]
    return rows
