"""BLEU, chrF and TER as sacreBLEU computes them, each with its signature.

sacreBLEU (Post, 2018) tokenizes the text itself, so it takes detokenized text. The signature records how a score was
computed; only scores with equal signatures can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from translator.errors import UserError


class EvaluationError(UserError):
    """Output that cannot be scored."""


@dataclass(frozen=True)
class MetricScore:
    """The score of one metric on one set of translations.

    Attributes:
        name: name of the metric, as sacreBLEU spells it.
        score: 0 to 100 for BLEU and chrF, higher is better; TER in percent, lower is better.
        signature: sacreBLEU's description of how the score was computed.
    """

    name: str
    score: float
    signature: str


@dataclass(frozen=True)
class Scores:
    """The scores of all metrics on one set of translations.

    Attributes:
        bleu: Papineni et al. (2002).
        chrf: Popović (2015).
        ter: Snover et al. (2006); None if it was not requested.
        num_examples: number of translations scored.
    """

    bleu: MetricScore
    chrf: MetricScore
    ter: MetricScore | None
    num_examples: int

    @property
    def metrics(self) -> tuple[MetricScore, ...]:
        """The metrics that were computed."""
        return tuple(metric for metric in (self.bleu, self.chrf, self.ter) if metric is not None)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "num_examples": self.num_examples,
            **{m.name.lower(): {"score": m.score, "signature": m.signature} for m in self.metrics},
        }


def evaluate(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    further_references: Sequence[Sequence[str]] = (),
    with_ter: bool = True,
) -> Scores:
    """Score translations against one or several references each.

    Args:
        hypotheses: translations, detokenized.
        references: the reference of each translation.
        further_references: more sets of references, each in the same order; an empty string means that a translation
            has no reference in that set.
        with_ter: whether to compute TER, which takes longer than the other two together.

    Raises:
        EvaluationError: if there is nothing to score, or a set has another number of references.
    """
    for references_of_set in (references, *further_references):
        if len(hypotheses) != len(references_of_set):
            raise EvaluationError(
                "Each set of references must have one reference per translation. "
                f"Received: {len(hypotheses)} translations and {len(references_of_set)} references."
            )
    if not hypotheses:
        raise EvaluationError("An evaluation requires at least one pair, and the test set is empty. Give another.")
    from sacrebleu.metrics import BLEU, CHRF, TER

    sets: list[list[str | None]] = [list(references)]
    sets += [[text or None for text in further] for further in further_references]
    metrics = [_score(metric, hypotheses, sets) for metric in (BLEU(), CHRF(), *([TER()] if with_ter else []))]
    return Scores(metrics[0], metrics[1], metrics[2] if with_ter else None, len(hypotheses))


def exact_match(
    hypotheses: Sequence[str], references: Sequence[str], further_references: Sequence[Sequence[str]] = ()
) -> float:
    """Return the percentage of translations that are equal to one of their references."""
    accepted = zip(references, *further_references, strict=True)
    matches = sum(hypothesis in texts for hypothesis, texts in zip(hypotheses, accepted, strict=True))
    return 100.0 * matches / len(references) if references else 0.0


def _score(metric: Any, hypotheses: Sequence[str], references: Sequence[Sequence[str | None]]) -> MetricScore:
    result = metric.corpus_score(list(hypotheses), references)
    name = "chrF" if result.name.startswith("chrF") else result.name
    return MetricScore(name, float(result.score), str(metric.get_signature()))
