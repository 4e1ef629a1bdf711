"""The phrasebook corpus: everyday French and English from one grammar, and idiomatic sentences written by hand.

Everything is generated from the tables in `lexicon/` and the constructions in `constructions/`; nothing is downloaded.
The same seed gives the same sentences on every machine.
"""

from __future__ import annotations

from corpora.phrasebook.constructions import CONSTRUCTIONS
from corpora.phrasebook.constructions.base import Construction
from corpora.phrasebook.splits import AUTHORED, SPLITS, Pair, generate

__all__ = ["AUTHORED", "CONSTRUCTIONS", "SPLITS", "Construction", "Pair", "generate"]
