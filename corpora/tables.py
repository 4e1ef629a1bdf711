"""Reader of the lexica of the embedded corpora, which are tab-separated tables."""

from __future__ import annotations

from functools import cache
from pathlib import Path

COMMENT = "#"
FOLDER = Path(__file__).parent


@cache
def read_table(corpus: str, name: str) -> tuple[tuple[str, ...], ...]:
    """Return the rows of `CORPUS/lexicon/NAME.tsv`, as wide as the header comment. Missing cells are empty.

    Raises:
        ValueError: if a row holds more cells than the header names.
    """
    lines = (FOLDER / corpus / "lexicon" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    width = len(lines[0].removeprefix(COMMENT).split("\t"))
    rows = [line.split("\t") for line in lines if line and not line.startswith(COMMENT)]
    for row in rows:
        if len(row) > width:
            raise ValueError(f"A row of {name}.tsv must have at most {width} cells. Received: {row}.")
    return tuple(tuple(cell.strip() for cell in row) + ("",) * (width - len(row)) for row in rows)
