"""Rules that drop rows."""

from __future__ import annotations

import pytest

from translator.config import CleaningConfig
from translator.data.cleaning import reason_to_drop


@pytest.mark.parametrize(("drop_identical", "reason"), [(True, "identical"), (False, None)])
def test_identical_sides_are_dropped_by_configuration(drop_identical: bool, reason: str | None) -> None:
    config = CleaningConfig(drop_identical=drop_identical)
    assert reason_to_drop(("Paris", "Paris"), "pairs", config) == reason
    assert reason_to_drop(("Londres", "London"), "pairs", config) is None


def test_the_length_ratio_is_a_maximum_for_pairs_that_are_not_short() -> None:
    config = CleaningConfig(max_length_ratio=2.5)
    assert reason_to_drop(("a" * 25, "b" * 10), "pairs", config) is None
    assert reason_to_drop(("a" * 26, "b" * 10), "pairs", config) == "length ratio"
    assert reason_to_drop(("b" * 10, "a" * 26), "pairs", config) == "length ratio"
    assert reason_to_drop(("a" * 19, "b"), "pairs", config) is None
    assert reason_to_drop(("a" * 26, "b" * 10), "labelled", config) is None
