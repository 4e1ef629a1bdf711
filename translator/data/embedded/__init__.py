"""The embedded corpora: Parquet files that are installed with the package. `corpora/` generates them."""

from __future__ import annotations

from pathlib import Path


def embedded_file(corpus: str, split: str) -> Path:
    """Return the file of a split of an embedded corpus, `phrasebook` or `sentiment`."""
    return Path(__file__).parent / f"{corpus}-{split}.parquet"
