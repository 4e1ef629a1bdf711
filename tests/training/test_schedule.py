"""Learning-rate schedules."""

from __future__ import annotations

import math

import pytest

from translator.config import TrainingConfig
from translator.training.schedule import learning_rate


def test_warm_up_is_linear_and_ends_at_the_highest_rate() -> None:
    for schedule in ("inverse_sqrt", "cosine"):
        config = TrainingConfig.model_validate(
            {"schedule": schedule, "warmup_steps": 10, "max_steps": 100, "learning_rate": 1.0}
        )
        rates = [learning_rate(config, step) for step in range(1, 101)]
        assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
        assert max(rates) == rates[9] == 1.0
        assert rates[9:] == sorted(rates[9:], reverse=True)


def test_inverse_square_root_halves_when_steps_grow_fourfold() -> None:
    config = TrainingConfig(schedule="inverse_sqrt", warmup_steps=100, learning_rate=2.0)
    assert learning_rate(config, 400) == pytest.approx(1.0)


def test_cosine_ends_at_the_final_rate_and_stays_there() -> None:
    config = TrainingConfig(
        schedule="cosine", warmup_steps=0, max_steps=100, learning_rate=1.0, final_learning_rate=0.1
    )
    assert learning_rate(config, 50) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 2)) / 2)
    assert learning_rate(config, 100) == pytest.approx(0.1)
    assert learning_rate(config, 150) == pytest.approx(0.1)


def test_without_warm_up_the_first_step_has_the_highest_rate() -> None:
    assert learning_rate(TrainingConfig(warmup_steps=0, learning_rate=0.5), 1) == 0.5


def test_warmup_stable_decay_holds_the_rate_then_falls_in_a_line() -> None:
    config = TrainingConfig(
        schedule="warmup_stable_decay",
        warmup_steps=10,
        max_steps=100,
        decay_share=0.5,
        learning_rate=1.0,
        final_learning_rate=0.2,
    )
    assert learning_rate(config, 5) == 0.5
    assert {learning_rate(config, step) for step in range(10, 51)} == {1.0}
    assert learning_rate(config, 75) == pytest.approx(0.6)
    assert learning_rate(config, 100) == learning_rate(config, 120) == pytest.approx(0.2)


def test_a_longer_warmup_stable_decay_begins_the_same() -> None:
    short, long = (
        TrainingConfig(schedule="warmup_stable_decay", warmup_steps=10, max_steps=steps, decay_share=0.2)
        for steps in (100, 1000)
    )
    assert [learning_rate(short, step) for step in range(1, 81)] == [learning_rate(long, step) for step in range(1, 81)]


def test_warm_up_and_decay_must_fit() -> None:
    with pytest.raises(ValueError, match=r"warm-up and decay fit in max_steps\. Received: warmup_steps=60, decay"):
        TrainingConfig(schedule="warmup_stable_decay", warmup_steps=60, max_steps=100, decay_share=0.5)
