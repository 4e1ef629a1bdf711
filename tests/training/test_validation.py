"""Validation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from translator.config import Config
from translator.data.files import DataError
from translator.model import base, build_model
from translator.tokenizer import Tokenizers
from translator.training.validation import Validator, is_better


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


def test_the_validation_loss_is_a_mean_per_token_regardless_of_batches(config: Config, tokenizers: Tokenizers) -> None:
    torch.manual_seed(1)
    model = build_model(config.model, tokenizers.source.vocab_size, tokenizers.target.vocab_size, label_smoothing=0.3)
    pairs = [("Le chat dort.", "The cat sleeps."), ("oui", "yes"), ("Où est la gare ?", "Where is the station?")]
    losses = []
    for batch_tokens in (1, 1000):
        training = config.training.model_copy(update={"batch_tokens": batch_tokens, "valid_decode_examples": 0})
        validator = Validator(pairs, config.model_copy(update={"training": training}), tokenizers)
        losses.append(validator(model.eval())["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_validation_loss_is_computed_in_the_precision_of_training(
    monkeypatch: pytest.MonkeyPatch, config: Config, tokenizers: Tokenizers
) -> None:
    model = build_model(config.model, tokenizers.source.vocab_size, tokenizers.target.vocab_size).eval()
    dtypes: list[torch.dtype] = []
    cross_entropy = base.linear_cross_entropy

    def recording(hidden: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
        dtypes.append(hidden.dtype)
        return cross_entropy(hidden, *rest, **options)

    monkeypatch.setattr(base, "linear_cross_entropy", recording)
    training = config.training.model_copy(update={"valid_decode_examples": 0})
    config = config.model_copy(update={"training": training})
    losses = [
        Validator([("oui", "yes")], config, tokenizers, dtype)(model)["loss"]
        for dtype in (torch.float32, torch.bfloat16)
    ]
    assert dtypes == [torch.float32, torch.bfloat16]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_pairs_that_are_too_long_for_the_model_are_counted(config: Config, tokenizers: Tokenizers) -> None:
    pairs = [("oui", "yes"), ("oui " * 100, "yes " * 100)]
    assert Validator(pairs, config, tokenizers).num_left_out == 1


@pytest.mark.parametrize("pairs", [[("oui " * 100, "yes " * 100)], []])
def test_validation_of_nothing_is_refused(config: Config, tokenizers: Tokenizers, pairs: list[tuple[str, str]]) -> None:
    message = (
        rf"must contain an example to compute a loss on.* Received: {len(pairs)} examples, {len(pairs)} of them longer"
    )
    with pytest.raises(DataError, match=message):
        Validator(pairs, config, tokenizers)
