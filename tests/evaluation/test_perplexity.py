from __future__ import annotations

import math

import pytest

from translator.evaluation import EvaluationError
from translator.evaluation.examples import Example
from translator.evaluation.perplexity import perplexity, report_perplexity

HALF = math.log(0.5)


def test_perplexity_of_a_fair_coin_is_two() -> None:
    found = perplexity(["abé", "c"], [[HALF] * 6, [HALF] * 4])
    assert (found.num_examples, found.num_tokens) == (2, 10)
    assert found.perplexity == pytest.approx(2.0) and found.loss == pytest.approx(-HALF)
    assert found.bits_per_byte == pytest.approx(10 / 5)  # "é" is two bytes


def test_perplexity_is_broken_down_by_group() -> None:
    examples = [Example(row=(text,), source="x", group=group) for text, group in (("a", "1"), ("b", "2"), ("", "3"))]
    report = report_perplexity([[HALF], [2 * HALF], [HALF]], examples, by="number")
    found = report.as_dict()
    assert {name: part["perplexity"] for name, part in found["groups"].items()} == pytest.approx(
        {"1": 2.0, "2": 4.0, "3": 2.0}
    )
    assert found["groups"]["3"]["bits_per_byte"] is None
    table = [line.split() for line in report.as_table().splitlines()]
    assert ["2", "1", "4.000", "2.000"] in table and ["3", "1", "2.000", "none"] in table


def test_an_empty_test_set_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"requires at least one text, and the test set is empty\."):
        perplexity([], [])
