"""Validation: the loss on held-out text, and the scores of translating or classifying it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translator.checkpoint import build_with_weights
from translator.config import Config
from translator.data.batching import make_batches
from translator.data.corpus import encode_rows, read_rows
from translator.data.files import DataError
from translator.data.objectives import objective_of
from translator.engines.torch_engine import TorchEngine
from translator.evaluation import evaluate
from translator.inference.classifier import Classifier
from translator.inference.translator import Translator
from translator.model import EncoderOnly, Model
from translator.packing import IGNORE_INDEX
from translator.tokenizer import Tokenizers
from translator.training.bfloat16_copy import Bfloat16Copy
from translator.training.memory import return_freed_memory
from translator.training.metrics import Metrics
from translator.training.parallel import Ranks
from translator.training.sharding import gather
from translator.training.state import TrainingState

LOWER_IS_BETTER = {"loss": True, "bleu": False, "chrf": False, "accuracy": False}


class Validator:
    """Computes the loss and the scores of a model on fixed rows of text.

    Args:
        rows: source and target text, text alone, or text and label, depending on the objective.
        config: configuration of the run.
        tokenizers: tokenizers of the run.
        dtype: data type of activations in the loss, as in training: the same kernels, at the same speed.

    Attributes:
        num_left_out: number of rows that are too long for the loss.

    Raises:
        DataError: if no row fits, so that there is nothing to compute a loss on.
    """

    def __init__(
        self,
        rows: Sequence[tuple[str, ...]],
        config: Config,
        tokenizers: Tokenizers,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._config = config
        self._dtype = dtype
        self._tokenizers = tokenizers
        self._decoded = rows[: config.training.valid_decode_examples]
        objective = objective_of(config, tokenizers).held_out
        source, target = encode_rows(rows, tokenizers, config.data, objective, config.seed)
        positions = objective.positions(source.lengths + objective.specials[0], target.lengths + objective.specials[1])
        fitting = np.flatnonzero(positions <= config.model.max_positions)
        self.num_left_out = len(rows) - len(fitting)
        limit = config.training.batch_tokens
        assert limit != "auto"
        self._batches = make_batches(source.take(fitting), target.take(fitting), limit, objective)
        if not any((batch.labels != IGNORE_INDEX).any() for batch in self._batches):
            raise DataError(
                "data.valid must contain an example to compute a loss on, of at most model.max_positions="
                f"{config.model.max_positions} tokens. Received: {len(rows):,} examples, {self.num_left_out:,} of them "
                "longer. Choose other validation data, or leave data.valid out."
            )

    def __call__(self, model: Model) -> dict[str, float]:
        """Return the loss per label in nats, without label smoothing, and the scores of the objective.

        Args:
            model: model in evaluation mode.
        """
        assert not model.training
        device = next(model.parameters()).device
        with torch.no_grad():
            learner = Bfloat16Copy(model).model if self._dtype == torch.bfloat16 else model
            totals = [learner.loss(batch.to(device)) for batch in self._batches]
        values = {"loss": sum(float(loss) for loss, _ in totals) / sum(int(count) for _, count in totals)}
        if self._config.training.objective == "language_modeling":
            values["perplexity"] = math.exp(min(values["loss"], 700.0))
        if self._decoded:
            match self._config.training.objective:
                case "translation":
                    values |= self._translation_scores(model, device)
                case "classification":
                    values |= self._accuracy(model, device)
        return values

    def _translation_scores(self, model: Model, device: torch.device) -> dict[str, float]:
        """Return BLEU and chrF of greedy translations."""
        assert not isinstance(model, EncoderOnly)
        translator = Translator(TorchEngine(model, device), self._tokenizers, self._config.decoding)
        sources = [row[0] for row in self._decoded]
        translations = translator.translate(sources, beam_size=1, num_hypotheses=1, guard=False)  # the model alone
        texts = [translation.text for translation in translations]
        scores = evaluate(texts, [row[1] for row in self._decoded], with_ter=False)
        return {"bleu": scores.bleu.score, "chrf": scores.chrf.score}

    def _accuracy(self, model: Model, device: torch.device) -> dict[str, float]:
        """Return the percentage of texts that are assigned their own label."""
        assert isinstance(model, EncoderOnly)
        classifier = Classifier(model, self._tokenizers, self._config.data.labels, device)
        found = classifier.classify([row[0] for row in self._decoded])
        correct = sum(each.label == row[1] for each, row in zip(found, self._decoded, strict=True))
        return {"accuracy": 100.0 * correct / len(found)}


class Validation:
    """The validations of a run, on rank 0; without `data.valid`, none. Called by all ranks where not said otherwise.

    Args:
        config: configuration of the run.
        directory: run directory.
        ranks: ranks of the run.
        state: state of the run, which keeps the best result.
        tokenizers: tokenizers of the run.
        dtype: see `Validator`.
        say: function that shows a line.

    Raises:
        DataError: if `data.valid` cannot be used.
    """

    def __init__(
        self,
        config: Config,
        directory: Path,
        ranks: Ranks,
        state: TrainingState,
        tokenizers: Tokenizers,
        dtype: torch.dtype,
        say: Callable[[str], None],
    ) -> None:
        self._config, self._directory, self._ranks, self._state = config, directory, ranks, state
        self._tokenizers, self._dtype, self._say = tokenizers, dtype, say
        self._metric = config.training.metric
        self._validator: Validator | None = None
        self._has_data = ranks.on_main(self._prepare)  # the other ranks may not name any

    def _prepare(self) -> bool:
        if not self._config.data.valid:
            return False
        rows = list(read_rows(self._config.data.valid, self._config.data, self._config.form))
        self._validator = Validator(rows, self._config, self._tokenizers, self._dtype)
        if self._validator.num_left_out:
            self._say(f"{self._validator.num_left_out} validation examples are too long for the loss")
        return True

    def run(self, metrics: Metrics | None) -> bool:
        """Validate the decoding weights; return True, on all ranks, if they are the best so far."""
        if not self._has_data:
            return False
        state = self._state
        weights = gather(state.decoding_weights(), self._ranks)
        value = self._ranks.on_main(lambda: self._measure(weights, metrics, f"step {state.step}", "valid"))
        is_best = state.skipped_steps == 0 and is_better(self._metric, value, state.best)
        if is_best:
            state.best, state.best_step = value, state.step
        state.worse_validations = 0 if is_best else state.worse_validations + 1
        return is_best

    def is_improvement(self, weights: dict[str, Tensor], metrics: Metrics | None, title: str, prefix: str) -> bool:
        """Validate other weights; return True if they are better than the best. Called by rank 0 alone.

        Args:
            weights: whole weights.
            metrics: metrics of the run.
            title: beginning of the line that is shown.
            prefix: beginning of the names in the metrics.

        Returns:
            True also if nothing can be validated.
        """
        if self._validator is None:
            return True
        return is_better(self._metric, self._measure(weights, metrics, title, prefix), self._state.best)

    def _measure(self, weights: dict[str, Tensor], metrics: Metrics | None, title: str, prefix: str) -> float:
        """Validate weights in a plain replica of the model, report the results, and return that of the metric."""
        assert self._validator is not None and metrics is not None
        replica = build_with_weights(self._config, self._tokenizers, weights, self._directory).to(self._ranks.device)
        values = self._validator(replica)
        return_freed_memory()  # decoding fragments memory
        metrics.write(self._state.step, {f"{prefix}_{name}": value for name, value in values.items()})
        self._say(f"{title}  " + "  ".join(f"valid {name} {value:.4g}" for name, value in values.items()))
        return values[self._metric]


def is_better(metric: str, new: float, best: float | None) -> bool:
    """Return True if a validation result is better than the best so far; NaN never is."""
    if best is None:
        return new == new
    return new < best if LOWER_IS_BETTER[metric] else new > best
