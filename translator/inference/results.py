"""Results of translation, generation and scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from translator.inference.alignment import Alignment
from translator.inference.guard import Repair


@dataclass(frozen=True)
class Hypothesis:
    """One translation of a text.

    Attributes:
        text: the translation, on one line.
        score: log-probability over length penalty, and the coverage penalty; higher is better. For a split text, the
            sum over its parts. With other texts in the call it differs by rounding: in float32 on the CPU by less than
            1e-5.
        log_probability: of all tokens and EOS; natural logarithm.
        tokens: pieces; `▁` stands for a space.
        token_log_probabilities: of each piece, then of EOS (of each part, if the text was split).
        alignment: of its words with those of the text, if `alignment: true`.
    """

    text: str
    score: float
    log_probability: float
    tokens: tuple[str, ...]
    token_log_probabilities: tuple[float, ...]
    alignment: Alignment | None = None


@dataclass(frozen=True)
class Translation:
    """A text and its translations.

    Attributes:
        source: the text; invalid characters are replaced by U+FFFD.
        hypotheses: best first, at least one. Unless sampled, no two have the same text.
        flags: `empty` (nothing to translate), `invalid_bytes` (replaced), `split` (longer than the model takes, and
            translated in parts), `sentences` (translated one by one), `truncated` (the output reached its maximum
            length), `capitals` (sentences in capitals were folded), `repaired` (the guard has replaced a failed
            translation by a better one), `failed` (it has failed by the guard's rules, also after any repair),
            `pieces` (protected text was lost, and what is around it was translated in pieces).
        repair: failures that the guard found, and its repairs; None if it was off.
    """

    source: str
    hypotheses: tuple[Hypothesis, ...]
    flags: tuple[str, ...] = ()
    repair: Repair | None = None

    def with_repairs(self, repairs: Sequence[Repair]) -> Translation:
        """Return the translation with the guard's reports on its parts that failed."""
        repair = Repair.joined(repairs)
        flags = [flag for flag, is_set in (("repaired", repair.steps), ("failed", repair.remaining)) if is_set]
        return replace(self, flags=(*self.flags, *flags), repair=repair)

    @property
    def text(self) -> str:
        """The best translation."""
        return self.hypotheses[0].text

    @property
    def score(self) -> float:
        """Score of the best translation."""
        return self.hypotheses[0].score

    @property
    def tokens(self) -> tuple[str, ...]:
        """Pieces of the best translation."""
        return self.hypotheses[0].tokens


@dataclass(frozen=True)
class Score:
    """Log-probability of a given translation.

    Attributes:
        log_probability: of all tokens and EOS; natural logarithm; NaN if the pair is too long.
        tokens: pieces of the translation.
        token_log_probabilities: of each piece, then of EOS (of each part, if the pair was split).
        flags: as in `Translation`; and `too_long` (a side has more tokens than the model takes).
    """

    log_probability: float
    tokens: tuple[str, ...]
    token_log_probabilities: tuple[float, ...]
    flags: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.log_probability
