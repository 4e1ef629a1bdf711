"""Validation: the loss on held-out pairs, and the scores of really translating them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from translator.checkpoint import set_weights, weights_of
from translator.config import Config
from translator.data.batching import make_batches
from translator.data.corpus import encode_pairs
from translator.decoding.translator import Translator
from translator.evaluation import evaluate
from translator.model import EncoderDecoder
from translator.tokenizer import Tokenizers

LOWER_IS_BETTER = {"loss": True, "bleu": False, "chrf": False}


class Validator:
    """Judges a model on fixed pairs.

    Args:
        pairs: source and target text.
        config: of the run.
        tokenizers: of the run.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], config: Config, tokenizers: Tokenizers) -> None:
        self._config = config
        self._tokenizers = tokenizers
        self._decoded = pairs[: config.training.valid_decode_examples]
        longest = config.model.max_positions - 1
        examples = encode_pairs(pairs, tokenizers)
        fitting = [example for example in examples if max(len(example.source), len(example.target)) <= longest]
        self.num_left_out = len(examples) - len(fitting)
        self._batches = make_batches(fitting, config.training.batch_tokens)

    def __call__(self, model: EncoderDecoder) -> dict[str, float]:
        """Loss per token in nats, without label smoothing, and BLEU and chrF of greedy translations."""
        was_training = model.training
        model.eval()
        device = next(model.parameters()).device
        with torch.no_grad():
            totals = [model.loss(batch.to(device)) for batch in self._batches]
        values = {"loss": sum(float(loss) for loss, _ in totals) / sum(int(count) for _, count in totals)}
        if self._decoded:
            translator = Translator(model, self._tokenizers, self._config.decoding, device)
            translations = translator.translate([source for source, _ in self._decoded], beam_size=1)
            scores = evaluate(
                [translation.text for translation in translations],
                [target for _, target in self._decoded],
                with_ter=False,
            )
            values |= {"bleu": scores.bleu.score, "chrf": scores.chrf.score}
        model.train(was_training)
        return values


def is_better(metric: str, new: float, best: float | None) -> bool:
    """Whether a validation result beats the best so far; a result that is no number never does."""
    if best is None:
        return new == new
    return new < best if LOWER_IS_BETTER[metric] else new > best


@contextmanager
def using_weights(model: EncoderDecoder, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Run the model with other weights for a while."""
    own = {name: weight.clone() for name, weight in weights_of(model).items()}
    set_weights(model, weights, "the average")
    try:
        yield
    finally:
        set_weights(model, own, "the model")
