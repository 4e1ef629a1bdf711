"""Gradients of several micro-batches: summed also when a graph reuses their memory."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from translator.config import TrainingConfig
from translator.model import Model
from translator.model.base import SequenceBatch
from translator.training.forward_backward import ForwardBackward


class _InOneBuffer(torch.autograd.Function):
    """The sum of `weight * labels`, whose gradient for the weight is always written to the same memory."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, labels: Tensor, buffer: Tensor) -> Tensor:
        ctx.save_for_backward(labels)
        ctx.buffer = buffer
        return (weight * labels).sum()

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, None, None]:
        (labels,) = ctx.saved_tensors
        ctx.buffer.copy_(labels * grad_loss)
        return ctx.buffer.detach(), None, None


class Overwriting(nn.Module):
    """A loss as CUDA graphs compute it: each call overwrites what the last one gave."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.unused = nn.Parameter(torch.ones(2))
        self.buffer = torch.zeros(2)

    def loss(self, batch: SequenceBatch, seed: Tensor) -> tuple[Tensor, Tensor]:
        return _InOneBuffer.apply(self.weight, batch.labels, self.buffer), torch.tensor(2)


class Labels:
    def __init__(self, *labels: float) -> None:
        self.labels = torch.tensor(labels)


def test_gradients_outlive_the_memory_that_the_next_micro_batch_overwrites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    options = TrainingConfig(compile=True, cuda_graphs=True, accumulation=3)
    model = Overwriting()
    backward = ForwardBackward(cast(Model, model), options, torch.float32, static_shapes=True)
    for _ in range(2):  # two steps
        model.zero_grad()
        batches = [cast(SequenceBatch, Labels(number, 1.0)) for number in range(3)]
        losses = [backward(batch, number, torch.tensor([1]))[0] for number, batch in enumerate(batches)]
        assert losses == [1, 2, 3] and not any(loss.requires_grad for loss in losses)
        assert model.weight.grad is not None and model.weight.grad.tolist() == [3, 3]
        assert model.unused.grad is None


def test_graphs_are_asked_of_the_compiler_only_where_they_are_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(torch, "compile", lambda function, **options: asked.append(options) or function)
    for is_compiled, has_graphs in ((False, False), (True, False), (True, True)):
        options = TrainingConfig(compile=is_compiled, cuda_graphs=has_graphs)
        ForwardBackward(cast(Model, Overwriting()), options, torch.float32, static_shapes=True)
    assert asked == [{"dynamic": False, "mode": None}, {"dynamic": False, "mode": "reduce-overhead"}]
