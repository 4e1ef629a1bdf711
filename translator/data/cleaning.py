"""Which rows are dropped before training, and what is said about it while it happens and afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from translator.config import CleaningConfig, Form
from translator.data.files import Row
from translator.data.store import IntArray

EMPTY = "empty"
UNDECODABLE = "undecodable"
TOO_LONG = "too long"
RATIO = "length ratio"
IDENTICAL = "identical"
DUPLICATE = "duplicate"
TOO_MANY_TOKENS = "too many tokens"
REASONS = (EMPTY, UNDECODABLE, TOO_LONG, RATIO, IDENTICAL, DUPLICATE, TOO_MANY_TOKENS)

_SHORT = 20  # characters; "Oui." and "Of course." may well differ in length
_SECONDS_BETWEEN_LOGS = 15.0


@dataclass(frozen=True)
class SourceReport:
    """What became of the rows of one source.

    Attributes:
        name: the source in a few words.
        read: rows it holds.
        kept: rows left to learn from.
        dropped: number of rows by reason.
    """

    name: str
    read: int
    kept: int
    dropped: dict[str, int]


def reason_to_drop(texts: Row, form: Form, config: CleaningConfig) -> str | None:
    """Why a row is dropped on its own account, or None; its texts are stripped of surrounding spaces."""
    if not all(texts):
        return EMPTY
    if max(map(len, texts)) > config.max_characters:
        return TOO_LONG
    if form != "pairs":
        return None
    source, target = texts
    shorter, longer = sorted((len(source), len(target)))
    if longer >= _SHORT and longer > config.max_length_ratio * shorter:
        return RATIO
    if config.drop_identical and source == target:
        return IDENTICAL
    return None


def find_duplicates(hashes: IntArray, indices: IntArray) -> IntArray:
    """Indices, given ascending, of all but the first of those with equal hashes: both `(n,)`, to `(duplicates,)`."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    is_repeated: IntArray = order[1:][ordered[1:] == ordered[:-1]]
    return np.take(indices, is_repeated)


def table(reports: Sequence[SourceReport]) -> str:
    """The reports as lines of aligned columns; reasons that dropped nothing are left out."""
    reasons = [reason for reason in REASONS if any(report.dropped.get(reason) for report in reports)]
    rows = [["source", "read", *reasons, "kept"]]
    for report in reports:
        dropped = [f"{report.dropped.get(reason, 0):,}" for reason in reasons]
        rows.append([report.name, f"{report.read:,}", *dropped, f"{report.kept:,}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *numbers]))
    return "\n".join(lines)


class Progress:
    """Says in a line now and then how far a long work has come."""

    def __init__(self, work: str, total: int | None, log: Callable[[str], None]) -> None:
        """Begin.

        Args:
            work: what is done, as in "Reading".
            total: rows in all, where that is known.
            log: takes the lines.
        """
        self._work = work
        self._of = f" of {total:,}" if total is not None else ""
        self._log = log
        self._logged = time.monotonic()

    def reached(self, count: int) -> None:
        """So many pairs are done."""
        if time.monotonic() - self._logged > _SECONDS_BETWEEN_LOGS:
            self._logged = time.monotonic()
            self._log(f"{self._work}: {count:,}{self._of} rows.")
