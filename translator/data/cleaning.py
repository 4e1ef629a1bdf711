"""Rules that drop rows before training, and reports about them."""

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
LONGER_THAN_BATCH = "longer than a batch"
REASONS = (EMPTY, UNDECODABLE, TOO_LONG, RATIO, IDENTICAL, DUPLICATE, TOO_MANY_TOKENS, LONGER_THAN_BATCH)

_SHORT = 20  # characters; shorter texts may differ in length more: "Oui." and "Of course."
_NAME_HEAD, _NAME_TAIL = 38, 21  # characters of a source's name that a table shows
_SECONDS_BETWEEN_LOGS = 15.0


@dataclass(frozen=True)
class SourceReport:
    """Number of rows of one source that were kept and dropped.

    Attributes:
        name: description of the source.
        read: rows that the source holds.
        kept: rows that are trained on.
        dropped: number of rows by reason.
        target_tokens: target tokens of the kept rows, special tokens included; 0 before tokenization.
        left_out_tokens: target tokens of the rows that are longer than a batch.
    """

    name: str
    read: int
    kept: int
    dropped: dict[str, int]
    target_tokens: int = 0
    left_out_tokens: int = 0


def reason_to_drop(texts: Row, form: Form, config: CleaningConfig) -> str | None:
    """Return the reason to drop a row, or None. Duplicates are found elsewhere. Texts must be stripped."""
    if form == "aligned":
        return reason_to_drop(texts[:2], "pairs", config)
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
    """Return the indices whose hash occurs earlier: ascending `(n,)` and `(n,)` to `(duplicates,)`."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    is_repeated: IntArray = order[1:][ordered[1:] == ordered[:-1]]
    return np.take(indices, is_repeated)


def table(reports: Sequence[SourceReport]) -> str:
    """Return the reports as lines of aligned columns.

    Reasons that dropped nothing are omitted, and so are target tokens before tokenization. Long names are shortened.
    A last line counts the examples that are longer than a batch, if there are any.
    """
    reasons = [reason for reason in REASONS if any(report.dropped.get(reason) for report in reports)]
    has_tokens = any(report.target_tokens for report in reports)
    rows = [["source", "read", *reasons, "kept", *(["target tokens"] if has_tokens else [])]]
    for report in reports:
        numbers = [report.read, *(report.dropped.get(reason, 0) for reason in reasons), report.kept]
        numbers += [report.target_tokens] if has_tokens else []
        rows.append([shortened(report.name), *(f"{number:,}" for number in numbers)])
    lines = aligned(rows)
    examples, tokens = left_out(reports)
    if examples:
        lines.append(
            f"{examples:,} examples with {tokens:,} target tokens are longer than a batch and are left out. "
            "A larger training.batch_tokens keeps them."
        )
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines; the first column is aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def left_out(reports: Sequence[SourceReport]) -> tuple[int, int]:
    """Return the number of examples that are longer than a batch, and of their target tokens."""
    return (
        sum(report.dropped.get(LONGER_THAN_BATCH, 0) for report in reports),
        sum(report.left_out_tokens for report in reports),
    )


def shortened(name: str) -> str:
    """Return the beginning and the end of a long name, such as that of a source with a long `where`."""
    return name if len(name) <= _NAME_HEAD + 1 + _NAME_TAIL else f"{name[:_NAME_HEAD]}…{name[-_NAME_TAIL:]}"


class Progress:
    """Progress of a long task, logged at intervals."""

    def __init__(self, work: str, total: int | None, log: Callable[[str], None]) -> None:
        """Start the clock.

        Args:
            work: name of the task, such as "Reading".
            total: total number of rows, if known.
            log: function that logs a line.
        """
        self._work = work
        self._of = f" of {total:,}" if total is not None else ""
        self._log = log
        self._logged = time.monotonic()

    def reached(self, count: int) -> None:
        """Log the number of finished rows, if enough time has passed."""
        if time.monotonic() - self._logged > _SECONDS_BETWEEN_LOGS:
            self._logged = time.monotonic()
            self._log(f"{self._work}: {count:,}{self._of} rows.")
