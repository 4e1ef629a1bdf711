"""Validation: the loss on held-out text, and the scores of really translating or classifying it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from translator.checkpoint import set_weights, weights_of
from translator.config import Config
from translator.data.batching import make_batches
from translator.data.corpus import encode_rows
from translator.data.objectives import objective_of
from translator.engines.torch_engine import TorchEngine
from translator.evaluation import evaluate
from translator.inference.classifier import Classifier
from translator.inference.translator import Translator
from translator.model import EncoderOnly, Model
from translator.tokenizer import Tokenizers

LOWER_IS_BETTER = {"loss": True, "bleu": False, "chrf": False, "accuracy": False}


class Validator:
    """Judges a model on fixed rows of text.

    Args:
        rows: source and target text, text alone, or text and label, as the objective reads them.
        config: of the run.
        tokenizers: of the run.
    """

    def __init__(self, rows: Sequence[tuple[str, ...]], config: Config, tokenizers: Tokenizers) -> None:
        self._config = config
        self._tokenizers = tokenizers
        self._decoded = rows[: config.training.valid_decode_examples]
        objective = objective_of(config, tokenizers)
        source, target = encode_rows(rows, tokenizers, config.data, objective, config.seed)
        positions = objective.positions(source.lengths + objective.specials[0], target.lengths + objective.specials[1])
        fitting = np.flatnonzero(positions <= config.model.max_positions)
        self.num_left_out = len(rows) - len(fitting)
        limit = config.training.batch_tokens
        self._batches = make_batches(source.take(fitting), target.take(fitting), limit, objective)

    def __call__(self, model: Model) -> dict[str, float]:
        """Loss per label in nats, without label smoothing, and the scores of the objective."""
        was_training = model.training
        model.eval()
        device = next(model.parameters()).device
        with torch.no_grad():
            totals = [model.loss(batch.to(device)) for batch in self._batches]
        values = {"loss": sum(float(loss) for loss, _ in totals) / max(1, sum(int(count) for _, count in totals))}
        if self._config.training.objective == "language_modeling":
            values["perplexity"] = math.exp(min(values["loss"], 700.0))
        if self._decoded:
            match self._config.training.objective:
                case "translation":
                    values |= self._translation_scores(model, device)
                case "classification":
                    values |= self._accuracy(model, device)
        model.train(was_training)
        return values

    def _translation_scores(self, model: Model, device: torch.device) -> dict[str, float]:
        """BLEU and chrF of greedy translations."""
        assert not isinstance(model, EncoderOnly)
        translator = Translator(TorchEngine(model, device), self._tokenizers, self._config.decoding)
        translations = translator.translate([row[0] for row in self._decoded], beam_size=1, num_hypotheses=1)
        texts = [translation.text for translation in translations]
        scores = evaluate(texts, [row[1] for row in self._decoded], with_ter=False)
        return {"bleu": scores.bleu.score, "chrf": scores.chrf.score}

    def _accuracy(self, model: Model, device: torch.device) -> dict[str, float]:
        """Share of texts, in percent, that are given their own label."""
        assert isinstance(model, EncoderOnly)
        classifier = Classifier(model, self._tokenizers, self._config.data.labels, device)
        found = classifier.classify([row[0] for row in self._decoded])
        correct = sum(each.label == row[1] for each, row in zip(found, self._decoded, strict=True))
        return {"accuracy": 100.0 * correct / len(found)}


def is_better(metric: str, new: float, best: float | None) -> bool:
    """Whether a validation result beats the best so far; a result that is no number never does."""
    if best is None:
        return new == new
    return new < best if LOWER_IS_BETTER[metric] else new > best


@contextmanager
def using_weights(model: Model, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Run the model with other weights for a while."""
    own = {name: weight.clone() for name, weight in weights_of(model).items()}
    set_weights(model, weights, "the average")
    try:
        yield
    finally:
        set_weights(model, own, "the model")
