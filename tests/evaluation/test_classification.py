from __future__ import annotations

import pytest

from translator.evaluation import EvaluationError
from translator.evaluation.classification import confusion_table, report_labels, require_known_labels, score_labels
from translator.evaluation.examples import Example

LABELS = ("yes", "no")


def test_counts_are_by_correct_and_by_predicted_label() -> None:
    scores = score_labels(["yes", "no", "", "no"], ["yes", "yes", "no", "no"], LABELS)
    assert scores.counts == {"yes": {"yes": 1, "no": 1, "none": 0}, "no": {"yes": 0, "no": 1, "none": 1}}
    assert (scores.num_examples, scores.accuracy) == (4, 50.0)
    assert [line.split() for line in confusion_table(scores)] == [
        ["correct", "\\", "predicted", "yes", "no", "none"],
        ["yes", "1", "1", "0"],
        ["no", "0", "1", "1"],
    ]


def test_accuracy_is_broken_down_by_group() -> None:
    rows = [("a", "yes", "short"), ("b", "no", "short"), ("c", "no", "long")]
    examples = [Example(row=(text, label), source="x", group=group) for text, label, group in rows]
    report = report_labels(["yes", "yes", "no"], examples, LABELS, by="size")
    assert report.as_dict() == report.total.as_dict() | {
        "by": "size",
        "groups": {"long": {"num_examples": 1, "accuracy": 100.0}, "short": {"num_examples": 2, "accuracy": 50.0}},
    }
    table = [line.split() for line in report.as_table().splitlines()]
    assert ["size", "texts", "accuracy", "%"] in table and ["short", "2", "50.00"] in table


def test_test_sets_that_cannot_be_scored_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"requires at least one text, and the test set is empty\."):
        require_known_labels([], LABELS)
    with pytest.raises(EvaluationError, match=r"among those of the classifier: yes, no\. Received: 'maybe'\."):
        score_labels(["yes"], ["maybe"], LABELS)
