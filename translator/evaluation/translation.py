"""Evaluation of a translation model: scores of a test set, of each of its sources and by a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from translator.config import DecodingChanges
from translator.evaluation.examples import Example, indices_by_group, indices_by_source
from translator.evaluation.metrics import Scores, evaluate, exact_match
from translator.evaluation.tables import format_table
from translator.inference.translator import Translator

WINDOW = 1000  # texts translated together, sorted by length


@dataclass(frozen=True)
class PartScores:
    """Scores of a part of a test set.

    Attributes:
        scores: BLEU, chrF and, for a whole test set, TER.
        exact_match: percentage of translations that are equal to a reference.
    """

    scores: Scores
    exact_match: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return self.scores.as_dict() | {"exact_match": self.exact_match}


@dataclass(frozen=True)
class TranslationReport:
    """Scores of a test set and of its parts.

    Attributes:
        total: scores of the whole test set.
        sources: scores of each source; empty if there is only one.
        by: the column by which scores are broken down, or None.
        groups: scores of each value of that column.
    """

    total: PartScores
    sources: dict[str, PartScores]
    by: str | None
    groups: dict[str, PartScores]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return self.total.as_dict() | {
            "sources": {name: part.as_dict() for name, part in self.sources.items()},
            "by": self.by,
            "groups": {name: part.as_dict() for name, part in self.groups.items()},
        }

    def as_table(self) -> str:
        """Return the scores as text for people."""
        lines = [f"{self.total.scores.num_examples:,} pairs"]
        lines += [f"{m.name:<6} {m.score:6.2f}  {m.signature}" for m in self.total.scores.metrics]
        lines.append(f"{'exact':<6} {self.total.exact_match:6.2f}  % of translations")
        for title, parts in (("source", self.sources), (self.by or "", self.groups)):
            rows = {
                name: [
                    f"{part.scores.num_examples:,}",
                    f"{part.scores.bleu.score:.2f}",
                    f"{part.scores.chrf.score:.2f}",
                    f"{part.exact_match:.2f}",
                ]
                for name, part in parts.items()
            }
            lines += ["", *format_table(title, ["pairs", "BLEU", "chrF", "exact %"], rows)] if rows else []
        return "\n".join(lines)


def translate_texts(
    translator: Translator,
    texts: Sequence[str],
    options: DecodingChanges,
    progress: Callable[[int], object] = lambda count: None,
) -> list[str]:
    """Return the translations of texts.

    Args:
        translator: the model.
        texts: source texts.
        options: keyword arguments of `Translator.translate`.
        progress: called with the number of texts translated since the last call.
    """
    hypotheses: list[str] = []
    for start in range(0, len(texts), WINDOW):
        window = texts[start : start + WINDOW]
        hypotheses += [translation.text for translation in translator.translate(window, **options)]
        progress(len(window))
    return hypotheses


def score_translations(
    hypotheses: Sequence[str], examples: Sequence[Example], *, by: str | None = None, with_ter: bool = True
) -> TranslationReport:
    """Score the translations of a test set.

    Args:
        hypotheses: the translation of each example.
        examples: pairs of source and reference.
        by: name of the column that gave the examples their groups.
        with_ter: whether to compute TER of the whole test set.

    Raises:
        EvaluationError: if there is nothing to score.
    """
    assert len(hypotheses) == len(examples)

    def score(indices: Sequence[int], with_ter: bool = False) -> PartScores:
        """Score the examples with these indices."""
        chosen = [examples[index] for index in indices]
        texts, references = [hypotheses[index] for index in indices], [example.row[1] for example in chosen]
        further = list(zip(*(example.further_references for example in chosen), strict=True))
        scores = evaluate(texts, references, further_references=further, with_ter=with_ter)
        return PartScores(scores, exact_match(texts, references, further))

    return TranslationReport(
        total=score(range(len(examples)), with_ter),
        sources={name: score(indices) for name, indices in indices_by_source(examples).items()},
        by=by,
        groups={name: score(indices) for name, indices in indices_by_group(examples).items()},
    )
