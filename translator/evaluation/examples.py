"""Examples of a test set, with the group that each belongs to and further references."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from translator.config import DataConfig, Form, Source
from translator.data.files import read_lines
from translator.data.sources import describe, read_rows
from translator.evaluation.metrics import EvaluationError
from translator.file_input import expand_user


@dataclass(frozen=True)
class Example:
    """One row of a test set.

    Attributes:
        row: source and reference; a text alone; or text and label.
        source: description of the source that the row was read from.
        group: value of the column by which scores are broken down, or None.
        further_references: references besides the one in `row`; an empty string where one is missing.
    """

    row: tuple[str, ...]
    source: str
    group: str | None = None
    further_references: tuple[str, ...] = ()


def read_examples(
    sources: Sequence[Source],
    data: DataConfig,
    form: Form = "pairs",
    *,
    by: str | None = None,
    reference_columns: Sequence[str] = (),
    reference_files: Sequence[str] = (),
) -> list[Example]:
    """Read a test set.

    Args:
        sources: sources of the test set.
        data: languages and cache.
        form: content of a row.
        by: column whose value is the group of an example.
        reference_columns: columns with further references.
        reference_files: files with further references, one line per example.

    Raises:
        DataError: if a source is missing, empty, damaged or lacks a column.
        EvaluationError: if a reference file has another number of lines than the test set has examples.
    """
    extra = (*reference_columns, *([by] if by is not None else []))
    examples = [
        Example(
            row=row[: len(row) - len(extra)],
            source=describe(source),
            group=row[-1] if by is not None else None,
            further_references=row[len(row) - len(extra) :][: len(reference_columns)],
        )
        for source in sources
        for row in read_rows((source,), data, form, extra)
    ]
    for name in reference_files:
        lines = [line.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for line in _lines(name)]
        if len(lines) != len(examples):
            raise EvaluationError(
                "A file of references must have one line per example of the test set. "
                f"Received: {name} with {len(lines):,} lines, {len(examples):,} examples."
            )
        examples = [
            replace(example, further_references=(*example.further_references, line))
            for example, line in zip(examples, lines, strict=True)
        ]
    return examples


def _lines(name: str) -> list[str]:
    path = expand_user(name)
    if not path.is_file():
        raise EvaluationError(f"A file of references must be a file that exists. Received: {name}.")
    return list(read_lines(path))


def indices_by(names: Iterable[str | None]) -> dict[str, list[int]]:
    """Return the positions of each name, in order of first occurrence; None is left out."""
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if name is not None:
            groups.setdefault(name, []).append(index)
    return groups


def indices_by_source(examples: Sequence[Example]) -> dict[str, list[int]]:
    """Return the positions of the examples of each source; empty if there is only one source."""
    groups = indices_by(example.source for example in examples)
    return groups if len(groups) > 1 else {}


def indices_by_group(examples: Sequence[Example]) -> dict[str, list[int]]:
    """Return the positions of the examples of each group, sorted by the group's name."""
    return dict(sorted(indices_by(example.group for example in examples).items()))
