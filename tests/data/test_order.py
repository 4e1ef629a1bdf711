from __future__ import annotations

import numpy as np
import pytest

from translator.data.order import EpochOrder


def test_an_epoch_is_a_permutation_of_all_examples() -> None:
    order = EpochOrder([0, 1000], [1.0], seed=1)
    assert sorted(order.epoch(0).tolist()) == list(range(1000))
    assert order.epoch(0).tolist() != list(range(1000))


def test_order_is_a_function_of_seed_and_epoch() -> None:
    orders = [EpochOrder([0, 1000], [1.0], seed=seed).epoch(epoch).tolist() for seed in (1, 2) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert EpochOrder([0, 1000], [1.0], seed=2).epoch(1).tolist() == orders[3]


def test_weight_two_is_twice_per_epoch_and_a_half_is_every_other_epoch() -> None:
    order = EpochOrder([0, 10, 25, 125], [2.0, 1.0, 0.5], seed=3)
    counts = np.zeros(125, np.int64)
    for epoch in (0, 1):
        examples = order.epoch(epoch)
        assert len(examples) == 20 + 15 + 50
        counts += np.bincount(examples, minlength=125)
    assert counts.tolist() == [4] * 10 + [2] * 15 + [1] * 100


@pytest.mark.parametrize("weight", [0.3, 1.7, 0.01])
def test_any_weight_is_honoured_over_many_epochs(weight: float) -> None:
    order = EpochOrder([0, 50], [weight], seed=3)
    counts = sum(np.bincount(order.epoch(epoch), minlength=50) for epoch in range(200))
    assert np.abs(counts - 200 * weight).max() <= 1
