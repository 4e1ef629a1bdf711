"""How well a language model predicts text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from translator.evaluation import EvaluationError


@dataclass(frozen=True)
class Perplexity:
    """What a test set costs a model.

    Attributes:
        num_examples: texts judged.
        num_tokens: their pieces, and an end for each.
        loss: of a token, in nats.
        perplexity: exp(loss); comparable between models with the same tokenizer only.
        bits_per_byte: of UTF-8; comparable between any models.
    """

    num_examples: int
    num_tokens: int
    loss: float
    perplexity: float
    bits_per_byte: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def perplexity(texts: Sequence[str], log_probabilities: Sequence[Sequence[float]]) -> Perplexity:
    """Sum up log-probabilities.

    Args:
        texts: that were judged.
        log_probabilities: of each token of each text, natural logarithms.

    Raises:
        EvaluationError: there is no text in them.
    """
    num_tokens = sum(map(len, log_probabilities))
    num_bytes = sum(len(text.encode("utf-8", "replace")) for text in texts)
    if not num_tokens:
        raise EvaluationError("An evaluation needs at least one text. Received: none. Is the test set empty?")
    nats = -math.fsum(value for values in log_probabilities for value in values)
    loss = nats / num_tokens
    return Perplexity(len(texts), num_tokens, loss, math.exp(loss), nats / math.log(2) / num_bytes)
