"""The optimizer and the moving average."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from translator.config import ModelConfig, TrainingConfig
from translator.model import build_model
from translator.model.layers import FeedForward, TransformerLayer
from translator.training.muon import PARTS
from translator.training.optimizer import (
    WeightAverage,
    build_optimizer,
    layer_matrices,
    moments_of,
    set_learning_rate,
)


@pytest.mark.parametrize("kind", ["adam", "adamw", "muon"])
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


ARCHITECTURES: list[dict[str, Any]] = [
    {},
    {"activation": "swiglu", "output_bias": True, "positions": "learned", "norm": "post"},
    {"architecture": "decoder_only"},
    {"architecture": "encoder_only"},
]


@pytest.mark.parametrize("options", ARCHITECTURES)
def test_muon_has_every_matrix_of_the_layers_and_nothing_else(options: dict[str, Any]) -> None:
    sizes = {"d_model": 16, "d_ff": 40, "encoder_layers": 2, "decoder_layers": 1}
    heads = {"encoder_heads": 2, "decoder_heads": 2, "max_positions": 32}
    labels = {"num_labels": 3} if options.get("architecture") == "encoder_only" else {}
    model = build_model(ModelConfig.model_validate(sizes | heads | options), 50, 50, **labels)
    optimizer = build_optimizer(model, TrainingConfig(optimizer="muon"))
    groups = [(group, group["params"]) for group in optimizer.param_groups]
    layers = [module for module in model.modules() if isinstance(module, TransformerLayer)]
    expected = {id(p) for layer in layers for p in layer.parameters() if p.ndim == 2}
    assert expected
    assert {id(p) for group, members in groups if PARTS in group for p in members} == expected
    assert sorted(id(p) for _, members in groups for p in members) == sorted(map(id, model.parameters()))
    assert {moments_of(group) for group, _ in groups if PARTS in group} == {("exp_avg",)}
    assert {moments_of(group) for group, _ in groups if PARTS not in group} == {("exp_avg", "exp_avg_sq")}


def test_a_projection_is_divided_into_what_it_projects_to() -> None:
    gated, plain = FeedForward(8, 24, "swiglu"), FeedForward(8, 24)
    found = layer_matrices(nn.ModuleList([gated, plain]))
    assert [[id(matrix) for matrix in found[parts]] for parts in (1, 2)] == [
        [id(gated.output_projection.weight), id(plain.inner_projection.weight), id(plain.output_projection.weight)],
        [id(gated.inner_projection.weight)],
    ]
    options = {"d_model": 16, "d_ff": 40, "encoder_layers": 1, "decoder_layers": 1}
    heads = {"encoder_heads": 2, "decoder_heads": 2, "max_positions": 32}
    model = build_model(ModelConfig.model_validate(options | heads), 50, 50)
    shapes = {parts: {tuple(matrix.shape) for matrix in found} for parts, found in layer_matrices(model).items()}
    assert shapes == {1: {(16, 16), (40, 16), (16, 40)}, 2: {(32, 16)}, 3: {(48, 16)}}


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
