"""The optimizer and the moving average."""

from __future__ import annotations

import pytest
import torch

from translator.config import TrainingConfig
from translator.training.optimizer import WeightAverage, build_optimizer, set_learning_rate


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_only_matrices_decay(kind: str) -> None:
    model = torch.nn.Linear(3, 2)
    config = TrainingConfig.model_validate({"optimizer": kind, "weight_decay": 0.1, "learning_rate": 0.01})
    optimizer = build_optimizer(model, config)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert not torch.equal(before[0], model.weight)
    assert torch.equal(before[1], model.bias)


def test_the_learning_rate_is_the_same_for_every_parameter() -> None:
    optimizer = build_optimizer(torch.nn.Linear(3, 2), TrainingConfig())
    set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


def test_the_average_follows_at_once_at_first_and_slowly_later() -> None:
    weights = {"w": torch.zeros(2)}
    average = WeightAverage(weights, decay=0.9)
    weights["w"].fill_(1.0)
    average.update(weights)
    assert average.weights["w"].tolist() == pytest.approx([1 - 2 / 11] * 2)
    for _ in range(500):
        average.update(weights)
    before = average.weights["w"].clone()
    average.update({"w": torch.full((2,), 11.0)})
    assert (average.weights["w"] - before).tolist() == pytest.approx([1.0, 1.0], abs=1e-4)


def test_the_average_records_no_operations_for_gradients() -> None:
    weights = {"w": torch.nn.Parameter(torch.zeros(2))}
    average = WeightAverage(weights, decay=0.9)
    average.update(weights)
    assert not average.weights["w"].requires_grad
