"""The bfloat16 copy of a model: which weights it copies, and the gradients that the model receives."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from translator.config import ModelConfig, TrainingConfig
from translator.model import Model, build_model
from translator.packing import Packed
from translator.training.bfloat16_copy import Bfloat16Copy
from translator.training.forward_backward import ForwardBackward

SEEDS = torch.arange(11, 15)  # one per sequence
CASES: dict[str, dict[str, Any]] = {
    "encoder_decoder": {},
    "encoder_decoder, post-norm, untied": {"norm": "post", "tied_embeddings": "none", "positions": "learned"},
    "decoder_only": {"architecture": "decoder_only"},
    "encoder_only": {"architecture": "encoder_only"},
    "classifier": {"architecture": "encoder_only"},
}


def model_and_batch(case: str) -> tuple[Model, Any]:
    """A small model in training mode, and a batch for it."""
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_ff": 64, "encoder_layers": 2, "decoder_layers": 2}
    config = ModelConfig(
        **{**sizes, "encoder_heads": 2, "decoder_heads": 2, "dropout": 0.0, "activation": "gelu", **CASES[case]}
    )
    model = build_model(config, 40, 40, 0.1, num_labels=3 if case == "classifier" else 0).train()
    rng = random.Random(1)
    packed = Packed.from_sequences([torch.tensor(rng.choices(range(40), k=n)) for n in (3, 9, 17, 5)])
    labels = torch.tensor([0, 2, 1, 1]) if case == "classifier" else packed.values.roll(-1)
    return model, SimpleNamespace(source=packed, target_input=packed, labels=labels, links=None)


def gradients(model: Model, batch: Any, dtype: torch.dtype, micro_batches: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and the gradients of all weights, that the trainer computes."""
    model.zero_grad()
    backward = ForwardBackward(model, TrainingConfig(), dtype, static_shapes=False)
    for number in range(micro_batches):
        loss, _ = backward(batch, number, SEEDS)
    return loss, {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_float32_and_close_to_those_of_float32_training(case: str) -> None:
    model, batch = model_and_batch(case)
    exact_loss, exact = gradients(model, batch, torch.float32, micro_batches=1)
    loss, rounded = gradients(model, batch, torch.bfloat16, micro_batches=1)
    assert loss.item() == pytest.approx(exact_loss.item(), rel=0.01)
    assert rounded.keys() == exact.keys()
    for name, gradient in exact.items():
        assert rounded[name].dtype == torch.float32
        if gradient.norm() > 1e-3:  # the gradient of a bias of keys is zero in exact arithmetic
            assert (rounded[name] - gradient).norm() < 0.06 * gradient.norm(), name
    assert any(not torch.equal(rounded[name], exact[name]) for name in exact)


def test_gradients_of_micro_batches_are_summed_in_float32() -> None:
    model, batch = model_and_batch("encoder_decoder")
    _, once = gradients(model, batch, torch.bfloat16, micro_batches=1)
    _, thrice = gradients(model, batch, torch.bfloat16, micro_batches=3)
    for name, gradient in once.items():
        assert torch.equal(thrice[name], gradient + gradient + gradient), name


def test_each_step_uses_the_weights_that_the_last_one_left() -> None:
    model, batch = model_and_batch("encoder_decoder")
    backward = ForwardBackward(model, TrainingConfig(), torch.bfloat16, static_shapes=False)
    backward(batch, 0, SEEDS)
    with torch.no_grad():
        for weight in model.parameters():
            weight.sub_(0.5 * weight.grad if weight.grad is not None else 0)
    loss, _ = backward(batch, 0, SEEDS)
    expected, _ = gradients(model, batch, torch.bfloat16, micro_batches=1)
    assert torch.equal(loss, expected)


def test_only_linear_layers_are_copied_and_an_update_rounds_the_weights_of_the_model() -> None:
    model, _ = model_and_batch("encoder_decoder")
    copied = Bfloat16Copy(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.7)
    copied.update()
    linear = {
        id(weight) for module in model.modules() if isinstance(module, nn.Linear) for weight in module.parameters()
    }
    for (name, weight), narrow in zip(model.named_parameters(), copied.model.parameters(), strict=True):
        if id(weight) in linear:
            assert torch.equal(narrow, weight.to(torch.bfloat16)), name
        else:
            assert narrow is weight, name
    assert all(weight.dtype == torch.float32 for weight in model.parameters())
