"""Muon: its steps are those of `torch.optim.Muon`, part by part, and it skips bad steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from translator.training import muon
from translator.training.muon import Muon, orthogonal
from translator.training.optimizer import step_unless

SHAPES = ((48, 32), (32, 80), (32, 48))


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def optimizer_of(matrices: dict[int, list[nn.Parameter]], other: nn.Parameter, weight_decay: float = 0.1) -> Muon:
    adamw = torch.optim.AdamW([other], lr=0.01, weight_decay=weight_decay, fused=True)
    return Muon(matrices, adamw, torch.bfloat16, 0.01, weight_decay)


def train(optimizer: torch.optim.Optimizer, weights: list[nn.Parameter], steps: int = 4) -> None:
    generator = torch.Generator().manual_seed(2)
    for _ in range(steps):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()


def test_steps_are_those_of_torch_at_the_learning_rate_of_adamw() -> None:
    own, expected, other = parameters(), parameters(), nn.Parameter(torch.ones(3))
    train(optimizer_of({1: own}, other), own)
    train(torch.optim.Muon(expected, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"), expected)
    for weight, right in zip(own, expected, strict=True):
        torch.testing.assert_close(weight, right, rtol=0, atol=2e-4)  # of 0.008, the root mean square of four steps


def test_other_parameters_learn_as_with_adamw() -> None:
    matrices, other, expected = parameters(), nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = optimizer_of({1: matrices}, other)
    train(optimizer, [other])
    train(torch.optim.AdamW([expected], lr=0.01, weight_decay=0.1, fused=True), [expected])
    assert torch.equal(other, expected)
    assert torch.equal(matrices[0], parameters()[0])  # without gradients


def test_a_joint_projection_learns_as_its_parts_do() -> None:
    parts = [nn.Parameter(torch.randn(16, 16, generator=torch.Generator().manual_seed(seed))) for seed in range(3)]
    joint, other = nn.Parameter(torch.cat([part.detach() for part in parts])), nn.Parameter(torch.ones(3))
    gradients = [torch.randn(16, 16, generator=torch.Generator().manual_seed(seed)) * 10**seed for seed in range(3, 6)]
    for part, gradient in zip(parts, gradients, strict=True):
        part.grad = gradient
    joint.grad = torch.cat(gradients)
    optimizer_of({1: parts}, other).step()
    optimizer_of({3: [joint]}, other).step()
    torch.testing.assert_close(joint.detach(), torch.cat([part.detach() for part in parts]), rtol=0, atol=1e-6)


def test_steps_do_not_depend_on_how_matrices_are_stacked(monkeypatch: pytest.MonkeyPatch) -> None:
    together, apart, other = parameters(), parameters(), nn.Parameter(torch.ones(3))
    train(optimizer_of({1: together}, other), together)
    monkeypatch.setattr(muon, "STACK_NUMBERS", 1)
    train(optimizer_of({1: apart}, other), apart)
    for weight, right in zip(apart, together, strict=True):
        torch.testing.assert_close(weight, right, rtol=0, atol=2e-4)


def test_a_skipped_step_leaves_weights_and_moments_as_they_were() -> None:
    weights, other = parameters(), nn.Parameter(torch.ones(3))
    optimizer = optimizer_of({1: weights[:2], 2: weights[2:]}, other)
    train(optimizer, [*weights, other], steps=2)
    everything = [*weights, other]
    before = [weight.detach().clone() for weight in everything]
    moments = [{name: value.clone() for name, value in optimizer.state[weight].items()} for weight in everything]
    for bad in (torch.nan, torch.inf):
        for weight in everything:
            weight.grad = torch.full_like(weight, bad)
        step_unless(optimizer, torch.tensor(True))
        for weight, old, kept in zip(everything, before, moments, strict=True):
            assert torch.equal(weight, old)
            assert all(torch.equal(value, kept[name]) for name, value in optimizer.state[weight].items())
    for weight in everything:
        weight.grad = torch.ones_like(weight)
    step_unless(optimizer, torch.tensor(False))
    assert not any(torch.equal(weight, old) for weight, old in zip(everything, before, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_orthogonal_direction_has_singular_values_near_one(dtype: torch.dtype) -> None:
    matrices = torch.randn(3, 32, 80, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonal(matrices.to(dtype)).float())
    assert values.min() > 0.65 and values.max() < 1.25
    assert torch.equal(orthogonal(torch.zeros(1, 2, 3)), torch.zeros(1, 2, 3))
