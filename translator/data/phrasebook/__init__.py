"""The embedded corpus: everyday French and English from one grammar, and idiomatic sentences written by hand.

Everything is made here, from the tables in `lexicon/` and the constructions in `constructions/`; nothing is downloaded.
The same seed gives the same sentences on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from translator.data.phrasebook.constructions import CONSTRUCTIONS
from translator.data.phrasebook.constructions.base import Construction
from translator.data.phrasebook.splits import AUTHORED, SPLITS, Pair, generate

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["AUTHORED", "CONSTRUCTIONS", "SPLITS", "Construction", "Pair", "generate", "load"]


def load(split: str) -> Dataset:
    """A split as a Hugging Face dataset with the columns fr, en and construction.

    Raises:
        ValueError: if there is no such split.
    """
    from datasets import Dataset  # here, so that generating sentences needs nothing but Python

    pairs = generate(split)
    columns = {
        "fr": [pair.french for pair in pairs],
        "en": [pair.english for pair in pairs],
        "construction": [pair.construction for pair in pairs],
    }
    return Dataset.from_dict(columns)
