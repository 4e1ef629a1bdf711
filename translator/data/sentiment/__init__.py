"""The embedded corpus of sentiment: French remarks about films, books, meals, hotels and things, in praise or in blame.

Everything is made here, from the tables in `lexicon/` and the grammar; nothing is downloaded. Words are said in praise
and in blame alike, and negation, contrast and concession decide, so that counting words is not enough. The same seed
gives the same remarks on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from translator.data.sentiment.splits import LABELS, SPLITS, Example, generate

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["LABELS", "SPLITS", "Example", "generate", "load"]


def load(split: str) -> Dataset:
    """A split as a Hugging Face dataset with the columns text and label ("negative" or "positive").

    Raises:
        ValueError: if there is no such split.
    """
    from datasets import Dataset  # here, so that generating remarks needs nothing but Python

    examples = generate(split)
    return Dataset.from_dict({"text": [one.text for one in examples], "label": [one.label for one in examples]})
