"""The sentiment corpus: positive and negative French remarks about films, books, meals, hotels and products.

Everything is generated from the tables in `lexicon/` and the grammar; nothing is downloaded. Words occur in positive
and negative remarks alike. Negation, contrast and concession decide the label, so that counting words is not enough.
The same seed gives the same remarks on every machine.
"""

from __future__ import annotations

from corpora.sentiment.splits import LABELS, SPLITS, Example, generate

__all__ = ["LABELS", "SPLITS", "Example", "generate"]
