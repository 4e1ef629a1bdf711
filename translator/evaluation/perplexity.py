"""Evaluation of a language model: perplexity and bits per byte."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from translator.evaluation.examples import Example, indices_by_group
from translator.evaluation.metrics import EvaluationError
from translator.evaluation.tables import format_table


@dataclass(frozen=True)
class Perplexity:
    """Perplexity of a set of texts under a language model.

    Attributes:
        num_examples: number of texts.
        num_tokens: number of tokens predicted, one end-of-sequence token per text included.
        loss: mean loss per token, in nats.
        perplexity: exp(loss); comparable only between models with the same tokenizer.
        bits_per_byte: loss in bits per byte of UTF-8; comparable between any models; None if all texts are empty.
    """

    num_examples: int
    num_tokens: int
    loss: float
    perplexity: float
    bits_per_byte: float | None


@dataclass(frozen=True)
class PerplexityReport:
    """Perplexity of a test set and by a column.

    Attributes:
        total: perplexity of the whole test set.
        by: the column by which it is broken down, or None.
        groups: perplexity of each value of that column.
    """

    total: Perplexity
    by: str | None
    groups: dict[str, Perplexity]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self.total) | {
            "by": self.by,
            "groups": {name: asdict(part) for name, part in self.groups.items()},
        }

    def as_table(self) -> str:
        """Return the figures as text for people."""
        total = self.total
        lines = [
            f"{total.num_examples:,} texts, {total.num_tokens:,} tokens",
            f"perplexity {total.perplexity:10.3f}  per token ({total.loss:.4f} nats)",
            f"bits       {_bits(total):>10}  per byte",
        ]
        rows = {
            name: [f"{part.num_examples:,}", f"{part.perplexity:.3f}", _bits(part)]
            for name, part in self.groups.items()
        }
        lines += ["", *format_table(self.by or "", ["texts", "perplexity", "bits/byte"], rows)] if rows else []
        return "\n".join(lines)


def _bits(part: Perplexity) -> str:
    return "none" if part.bits_per_byte is None else f"{part.bits_per_byte:.3f}"


def perplexity(texts: Sequence[str], log_probabilities: Sequence[Sequence[float]]) -> Perplexity:
    """Compute the perplexity of texts.

    Args:
        texts: the texts that were scored.
        log_probabilities: natural logarithm of the probability of each token of each text.

    Raises:
        EvaluationError: if there are no texts.
    """
    num_tokens = sum(map(len, log_probabilities))
    num_bytes = sum(len(text.encode("utf-8", "replace")) for text in texts)
    if not num_tokens:
        raise EvaluationError("An evaluation requires at least one text, and the test set is empty. Give another.")
    nats = -math.fsum(value for values in log_probabilities for value in values)
    loss = nats / num_tokens
    bits_per_byte = nats / math.log(2) / num_bytes if num_bytes else None
    return Perplexity(len(texts), num_tokens, loss, math.exp(loss), bits_per_byte)


def report_perplexity(
    log_probabilities: Sequence[Sequence[float]], examples: Sequence[Example], *, by: str | None = None
) -> PerplexityReport:
    """Compute the perplexity of a test set and of its groups.

    Args:
        log_probabilities: natural logarithm of the probability of each token of each example.
        examples: texts.
        by: name of the column that gave the examples their groups.

    Raises:
        EvaluationError: if the test set is empty.
    """

    def score(indices: Sequence[int]) -> Perplexity:
        return perplexity([examples[i].row[0] for i in indices], [log_probabilities[i] for i in indices])

    return PerplexityReport(
        total=score(range(len(examples))),
        by=by,
        groups={name: score(indices) for name, indices in indices_by_group(examples).items()},
    )
