"""Evaluation of a classifier: accuracy and a confusion table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from translator.evaluation.examples import Example, indices_by_group
from translator.evaluation.metrics import EvaluationError
from translator.evaluation.tables import format_table


@dataclass(frozen=True)
class LabelScores:
    """Predicted labels compared with the correct ones.

    Attributes:
        labels: the labels of the classifier.
        counts: number of texts by correct label, then by predicted label: `counts[correct][predicted]`.
    """

    labels: tuple[str, ...]
    counts: dict[str, dict[str, int]]

    @property
    def num_examples(self) -> int:
        """Number of texts scored."""
        return sum(sum(row.values()) for row in self.counts.values())

    @property
    def accuracy(self) -> float:
        """Percentage of texts with the correct label."""
        return 100.0 * sum(self.counts[label][label] for label in self.labels) / self.num_examples

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"num_examples": self.num_examples, "accuracy": self.accuracy, "confusion": self.counts}


@dataclass(frozen=True)
class ClassificationReport:
    """Scores of a test set and by a column.

    Attributes:
        total: scores of the whole test set.
        by: the column by which scores are broken down, or None.
        groups: scores of each value of that column.
    """

    total: LabelScores
    by: str | None
    groups: dict[str, LabelScores]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        groups = {
            name: {"num_examples": part.num_examples, "accuracy": part.accuracy} for name, part in self.groups.items()
        }
        return self.total.as_dict() | {"by": self.by, "groups": groups}

    def as_table(self) -> str:
        """Return the scores as text for people."""
        lines = [f"{self.total.num_examples:,} texts", f"accuracy {self.total.accuracy:6.2f} %"]
        lines += ["", *confusion_table(self.total)]
        if self.groups:
            rows = {name: [f"{part.num_examples:,}", f"{part.accuracy:.2f}"] for name, part in self.groups.items()}
            lines += ["", *format_table(self.by or "", ["texts", "accuracy %"], rows)]
        return "\n".join(lines)


def score_labels(predicted: Sequence[str], correct: Sequence[str], labels: Sequence[str]) -> LabelScores:
    """Count predicted labels by correct label.

    Args:
        predicted: labels from a classifier; an empty one, for an empty text, counts as wrong.
        correct: the correct labels, in the same order.
        labels: the labels of the classifier.

    Raises:
        EvaluationError: if there is nothing to score, or the classifier does not have one of the correct labels.
    """
    require_known_labels(correct, labels)
    columns = (*labels, *(["none"] if "" in predicted else []))
    counts = {row: dict.fromkeys(columns, 0) for row in labels}
    for given, true in zip(predicted, correct, strict=True):
        counts[true][given or "none"] += 1
    return LabelScores(tuple(labels), counts)


def require_known_labels(correct: Sequence[str], labels: Sequence[str]) -> None:
    """Raise EvaluationError if a test set is empty or has a label that is not one of `labels`."""
    if not correct:
        raise EvaluationError("An evaluation requires at least one text, and the test set is empty. Give another.")
    if unknown := sorted(set(correct) - set(labels)):
        raise EvaluationError(
            f"The labels of the test set must be among those of the classifier: {', '.join(labels)}. "
            f"Received: {', '.join(map(repr, unknown[:5]))}."
        )


def report_labels(
    predicted: Sequence[str],
    examples: Sequence[Example],
    labels: Sequence[str],
    *,
    by: str | None = None,
) -> ClassificationReport:
    """Score the predicted labels of a test set.

    Args:
        predicted: the label of each example.
        examples: texts with their correct labels.
        labels: the labels of the classifier.
        by: name of the column that gave the examples their groups.

    Raises:
        EvaluationError: as for `score_labels`.
    """

    def score(indices: Sequence[int]) -> LabelScores:
        return score_labels([predicted[i] for i in indices], [examples[i].row[1] for i in indices], labels)

    return ClassificationReport(
        total=score(range(len(examples))),
        by=by,
        groups={name: score(indices) for name, indices in indices_by_group(examples).items()},
    )


def confusion_table(scores: LabelScores) -> list[str]:
    """Return the counts as lines of aligned columns: one row per correct label, one column per predicted label."""
    columns = list(next(iter(scores.counts.values())))
    rows = {label: [f"{scores.counts[label][column]:,}" for column in columns] for label in scores.labels}
    return format_table("correct \\ predicted", columns, rows)
