"""How one call searches: by beam, greedily, or by drawing; the same for translations and for continued text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from translator.decoding.beam import beam_search, check_beam
from translator.decoding.repetition import without_repetition
from translator.decoding.search import Candidate, Decodable, DecodingError, Sampling, greedy, require_positive, sample
from translator.packing import Packed


@dataclass(frozen=True)
class SearchOptions:
    """One way to search.

    Attributes:
        beam_size: hypotheses kept; 1 is greedy.
        length_penalty: alpha of Wu et al. (2016), equation 14.
        no_repeat_ngram: length of the runs of pieces that may not be repeated; 0 is none.
        batch_tokens: source tokens searched together.
        num_hypotheses: results for each source.
        sampling: draw instead of searching.

    Raises:
        DecodingError: a number is out of its range.
    """

    beam_size: int
    length_penalty: float
    no_repeat_ngram: int
    batch_tokens: int
    num_hypotheses: int
    sampling: Sampling | None

    def __post_init__(self) -> None:
        width = self.beam_size if self.sampling is None else max(1, self.num_hypotheses)
        check_beam(width, self.length_penalty, self.num_hypotheses)
        require_positive("batch_tokens", self.batch_tokens)
        if self.no_repeat_ngram < 0:
            raise DecodingError(
                f"no_repeat_ngram must be at least 1, or 0 for no guard. Received: {self.no_repeat_ngram}."
            )

    def search(self, model: Decodable[Any], source: Packed, max_lengths: Sequence[int]) -> list[list[Candidate]]:
        """The candidates of each source, best first.

        Args:
            model: what to decode.
            source: ids `(num_tokens,)` int64, each source ended by EOS.
            max_lengths: most tokens of each result, its EOS counted.
        """
        steps = without_repetition(model, self.no_repeat_ngram)
        if self.sampling is not None:
            return sample(
                steps,
                source,
                max_lengths=max_lengths,
                sampling=self.sampling,
                num_hypotheses=self.num_hypotheses,
                alpha=self.length_penalty,
            )
        if self.beam_size == 1:
            return greedy(steps, source, max_lengths=max_lengths, alpha=self.length_penalty)
        return beam_search(
            steps,
            source,
            max_lengths=max_lengths,
            beam_size=self.beam_size,
            alpha=self.length_penalty,
            num_hypotheses=self.num_hypotheses,
        )
