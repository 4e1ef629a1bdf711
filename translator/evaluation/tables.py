"""Plain-text tables of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def format_table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lines of a table: names on the left, right-aligned cells below `columns`; none without rows.

    Args:
        title: head of the column of names.
        columns: heads of the other columns.
        rows: the cells of each name; an empty name is shown as `(empty)`.
    """
    if not rows:
        return []
    names = [title, *(name or "(empty)" for name in rows)]
    cells = [list(columns), *(list(row) for row in rows.values())]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    width = max(map(len, names))
    return [
        "  ".join([name.ljust(width), *(cell.rjust(w) for cell, w in zip(row, widths, strict=True))])
        for name, row in zip(names, cells, strict=True)
    ]
