"""`Candidate`: a result of a search, and its score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from translator.decoding.errors import DecodingError
from translator.tokenizer import EOS_ID


@dataclass(frozen=True)
class Candidate:
    """One output sequence.

    Attributes:
        tokens: ids, without BOS and EOS.
        token_log_probabilities: of each token, then of EOS if the sequence is finished; natural logarithms. They are
            the model's own, whatever the search forbids and however it samples.
        log_probability: sum of `token_log_probabilities`.
        score: `log_probability / length_penalty(len(token_log_probabilities), alpha)`, where a `repetition_penalty`
            multiplies the log-probability of repeated tokens, and an engine adds the coverage penalty; candidates are
            ranked by it.
        is_finished: True if the sequence ended by EOS; False if it reached its maximum length or could not go on.
    """

    tokens: tuple[int, ...]
    token_log_probabilities: tuple[float, ...]
    log_probability: float
    score: float
    is_finished: bool

    @classmethod
    def from_tokens(
        cls,
        tokens: Sequence[int],
        token_log_probabilities: Sequence[float],
        alpha: float,
        score: float | None = None,
    ) -> Candidate:
        """Return the candidate with these ids, EOS last if it is finished, and their log-probabilities.

        Without a score, it has that of a search without penalties.
        """
        log_probability = math.fsum(token_log_probabilities)
        is_finished = list(tokens[-1:]) == [EOS_ID]
        return cls(
            tokens=tuple(tokens[:-1] if is_finished else tokens),
            token_log_probabilities=tuple(token_log_probabilities),
            log_probability=log_probability,
            score=log_probability / length_penalty(len(tokens), alpha) if score is None else score,
            is_finished=is_finished,
        )


def length_penalty(length: int, alpha: float) -> float:
    """Return ((5 + length) / 6) ** alpha, the divisor of a log-probability (Wu et al., 2016, equation 14).

    Args:
        length: number of output tokens, EOS included.
        alpha: 0 ranks by probability alone; larger values favour longer sequences.
    """
    return float(((5 + length) / 6) ** alpha)


def check_not_nan(log_probability: float) -> float:
    """Return the argument.

    Raises:
        DecodingError: if it is NaN.
    """
    if math.isnan(log_probability):
        raise DecodingError(
            "A model must give finite logits. Received: NaN. Its weights are damaged, or its training diverged."
        )
    return log_probability
