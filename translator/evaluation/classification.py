"""How good labels are: accuracy, a confusion table, and the same for what a classifier must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from translator.evaluation import EvaluationError


@dataclass(frozen=True)
class LabelScores:
    """One set of labels beside the right ones.

    Attributes:
        labels: all there are.
        counts: texts by right label, then by given label: `counts[right][given]`.
    """

    labels: tuple[str, ...]
    counts: dict[str, dict[str, int]]

    @property
    def num_examples(self) -> int:
        """Texts judged."""
        return sum(sum(row.values()) for row in self.counts.values())

    @property
    def accuracy(self) -> float:
        """Share of texts with their right label, in percent."""
        return 100.0 * sum(self.counts[label][label] for label in self.labels) / self.num_examples

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"num_examples": self.num_examples, "accuracy": self.accuracy, "confusion": self.counts}


def score_labels(given: Sequence[str], right: Sequence[str], labels: Sequence[str]) -> LabelScores:
    """Count labels.

    Args:
        given: by a classifier; an empty one, for an empty text, is wrong.
        right: in the same order.
        labels: all that the classifier knows.

    Raises:
        EvaluationError: there is nothing to score, or a right label is one that the classifier does not know.
    """
    if not right:
        raise EvaluationError("An evaluation needs at least one text. Received: none. Is the test set empty?")
    if unknown := sorted(set(right) - set(labels)):
        raise EvaluationError(
            f"The classifier must know the labels of the test set: it knows {', '.join(labels)}. "
            f"Received: {', '.join(map(repr, unknown[:5]))}."
        )
    columns = (*labels, *(["none"] if "" in given else []))
    counts = {row: dict.fromkeys(columns, 0) for row in labels}
    for mine, true in zip(given, right, strict=True):
        counts[true][mine or "none"] += 1
    return LabelScores(tuple(labels), counts)


def confusion_table(scores: LabelScores) -> str:
    """The counts as lines of aligned columns: a row for each right label, a column for each given one."""
    columns = list(next(iter(scores.counts.values())))
    rows = [["right \\ given", *columns]]
    rows += [[label, *(f"{scores.counts[label][column]:,}" for column in columns)] for label in scores.labels]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
