"""How good translations are: sacreBLEU's BLEU, chrF and TER, each with the signature that makes it comparable.

sacreBLEU (Post, 2018) tokenizes by itself, so text goes in as people read it. The signature says how a score was made;
scores of different signatures say nothing about each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from translator.config import UserError


class EvaluationError(UserError):
    """Translations that cannot be scored."""


@dataclass(frozen=True)
class MetricScore:
    """One metric of one set of translations.

    Attributes:
        name: as sacreBLEU spells it.
        score: 0 to 100 for BLEU and chrF, the higher the better; TER, in percent, the lower the better.
        signature: how it was computed.
    """

    name: str
    score: float
    signature: str


@dataclass(frozen=True)
class Scores:
    """All metrics of one set of translations.

    Attributes:
        bleu: Papineni et al. (2002).
        chrf: Popović (2015).
        ter: Snover et al. (2006); none if it was not asked for.
        num_examples: translations scored.
    """

    bleu: MetricScore
    chrf: MetricScore
    ter: MetricScore | None
    num_examples: int

    @property
    def metrics(self) -> tuple[MetricScore, ...]:
        """Those that were computed."""
        return tuple(metric for metric in (self.bleu, self.chrf, self.ter) if metric is not None)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "num_examples": self.num_examples,
            **{m.name.lower(): {"score": m.score, "signature": m.signature} for m in self.metrics},
        }


def evaluate(hypotheses: Sequence[str], references: Sequence[str], *, with_ter: bool = True) -> Scores:
    """Score translations against one reference each.

    Args:
        hypotheses: translations, as people read them.
        references: what they should be, in the same order.
        with_ter: whether to compute TER, which takes longer than the other two together.

    Raises:
        EvaluationError: there is nothing to score, or the two differ in number.
    """
    if len(hypotheses) != len(references):
        raise EvaluationError(
            "There must be one reference for each translation. "
            f"Received: {len(hypotheses)} translations and {len(references)} references."
        )
    if not hypotheses:
        raise EvaluationError("An evaluation needs at least one pair. Received: none. Is the test set empty?")
    from sacrebleu.metrics import BLEU, CHRF, TER

    metrics = [_score(metric, hypotheses, references) for metric in (BLEU(), CHRF(), *([TER()] if with_ter else []))]
    return Scores(metrics[0], metrics[1], metrics[2] if with_ter else None, len(hypotheses))


def exact_match(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Share of translations, in percent, that are their reference to the letter."""
    matches = sum(hypothesis == reference for hypothesis, reference in zip(hypotheses, references, strict=True))
    return 100.0 * matches / len(references) if references else 0.0


def _score(metric: Any, hypotheses: Sequence[str], references: Sequence[str]) -> MetricScore:
    result = metric.corpus_score(list(hypotheses), [list(references)])
    name = "chrF" if result.name.startswith("chrF") else result.name
    return MetricScore(name, float(result.score), str(metric.get_signature()))
