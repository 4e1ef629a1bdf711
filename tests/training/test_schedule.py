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
