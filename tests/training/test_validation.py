"""Validation."""

from __future__ import annotations

import math

import pytest
import torch

from translator.config import Config
from translator.model import build_model
from translator.tokenizer import Tokenizers
from translator.training.validation import Validator, is_better, using_weights


@pytest.mark.parametrize(
    ("metric", "new", "best", "expected"),
    [
        ("loss", 1.0, 2.0, True),
        ("loss", 2.0, 1.0, False),
        ("bleu", 30.0, 29.0, True),
        ("bleu", 29.0, 29.0, False),
        ("chrf", 29.0, None, True),
        ("loss", math.nan, 5.0, False),
        ("loss", math.nan, None, False),
    ],
)
def test_a_result_is_better_by_the_sense_of_its_metric(
    metric: str, new: float, best: float | None, expected: bool
) -> None:
    assert is_better(metric, new, best) is expected


def test_other_weights_are_used_for_a_while_only(config: Config) -> None:
    model = build_model(config.model, 50, 50)
    own = model.target_embedding.weight.detach().clone()
    other = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    with using_weights(model, other):
        assert not model.target_embedding.weight.any()
    assert torch.equal(model.target_embedding.weight, own)


def test_the_validation_loss_is_that_of_each_token_whatever_the_batches(config: Config, tokenizers: Tokenizers) -> None:
    torch.manual_seed(1)
    model = build_model(config.model, tokenizers.source.vocab_size, tokenizers.target.vocab_size, label_smoothing=0.3)
    pairs = [("Le chat dort.", "The cat sleeps."), ("oui", "yes"), ("Où est la gare ?", "Where is the station?")]
    losses = []
    for batch_tokens in (1, 1000):
        training = config.training.model_copy(update={"batch_tokens": batch_tokens, "valid_decode_examples": 0})
        validator = Validator(pairs, config.model_copy(update={"training": training}), tokenizers)
        losses.append(validator(model)["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert model.training


def test_pairs_that_are_too_long_for_the_model_are_counted(config: Config, tokenizers: Tokenizers) -> None:
    pairs = [("oui", "yes"), ("oui " * 100, "yes " * 100)]
    assert Validator(pairs, config, tokenizers).num_left_out == 1
