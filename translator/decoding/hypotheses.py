"""Live and finished hypotheses of a search; every search keeps its books here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from translator.decoding.candidates import Candidate, length_penalty
from translator.tokenizer import BOS_ID, EOS_ID


@dataclass(frozen=True)
class Hypotheses:
    """Live hypotheses: `width` prefixes of the output of each sentence, best first in each group, all of one length.

    In the model's state they are `num_sentences * width` rows, those of a sentence adjacent.

    Attributes:
        tokens: `(num_sentences, width, length)` int64.
        token_log_probabilities: `(num_sentences, width, length)` float32.
        rank: sum of the values that rank tokens, which are log-probabilities or, with penalties, less:
            `(num_sentences, width)` float64, so that rounding does not grow with the length. Minus infinity marks
            a hypothesis that is impossible or has ended, and only fills the rectangle.
        rows: row of the model's state that each hypothesis continues: `(num_sentences, width)` int64.
    """

    tokens: Tensor
    token_log_probabilities: Tensor
    rank: Tensor
    rows: Tensor

    @classmethod
    def empty(cls, num_sentences: int, device: torch.device) -> Hypotheses:
        """Return one hypothesis without tokens for each sentence."""
        return cls(
            tokens=torch.empty(num_sentences, 1, 0, dtype=torch.int64, device=device),
            token_log_probabilities=torch.empty(num_sentences, 1, 0, device=device),
            rank=torch.zeros(num_sentences, 1, dtype=torch.float64, device=device),
            rows=torch.arange(num_sentences, device=device)[:, None],
        )

    @property
    def width(self) -> int:
        """Hypotheses per sentence."""
        return self.tokens.shape[1]

    @property
    def length(self) -> int:
        """Tokens per hypothesis."""
        return self.tokens.shape[2]

    @property
    def last_tokens(self) -> Tensor:
        """The next input of the model: the last token, or BOS: `(num_sentences, width)` int64."""
        return self.tokens[:, :, -1] if self.length else torch.full_like(self.rows, BOS_ID)

    def extended(self, parents: Tensor, tokens: Tensor, token_log_probabilities: Tensor, rank: Tensor) -> Hypotheses:
        """Return hypotheses that are one token longer: all arguments `(num_sentences, new_width)`.

        Args:
            parents: place of the hypothesis that each extends, among those of its sentence: int64.
            tokens: the new tokens: int64.
            token_log_probabilities: theirs: float32.
            rank: of the longer hypotheses.
        """
        history = parents[:, :, None].expand(-1, -1, self.length)
        return Hypotheses(
            self.tokens.gather(1, history),
            self.token_log_probabilities.gather(1, history),
            rank=rank,
            rows=self.rows.gather(1, parents),
        ).append(tokens, token_log_probabilities, rank)

    def columns(self, columns: slice) -> Hypotheses:
        """Return adjacent hypotheses of each sentence, the same of each."""
        return Hypotheses(
            self.tokens[:, columns],
            self.token_log_probabilities[:, columns],
            self.rank[:, columns],
            self.rows[:, columns],
        )

    @classmethod
    def side_by_side(cls, parts: Sequence[Hypotheses]) -> Hypotheses:
        """Return the hypotheses of all parts, which have the same sentences and length."""
        return cls(
            torch.cat([part.tokens for part in parts], dim=1),
            torch.cat([part.token_log_probabilities for part in parts], dim=1),
            torch.cat([part.rank for part in parts], dim=1),
            torch.cat([part.rows for part in parts], dim=1),
        )

    def of_sentences(self, sentences: Sequence[int]) -> Hypotheses:
        """Return all hypotheses of some sentences."""
        places = torch.tensor(sentences, dtype=torch.int64, device=self.rows.device)
        return Hypotheses(
            self.tokens.index_select(0, places),
            self.token_log_probabilities.index_select(0, places),
            self.rank.index_select(0, places),
            self.rows.index_select(0, places),
        )

    def renumbered(self) -> Hypotheses:
        """Return the same hypotheses for a model state that holds exactly their rows, in their order."""
        rows = torch.arange(self.rows.numel(), device=self.rows.device).view_as(self.rows)
        return Hypotheses(self.tokens, self.token_log_probabilities, self.rank, rows)

    def append(self, tokens: Tensor, token_log_probabilities: Tensor, rank: Tensor) -> Hypotheses:
        """Return the hypotheses with one more token each, and the new ranks: three times `(num_sentences, width)`."""
        return Hypotheses(
            tokens=torch.cat((self.tokens, tokens[:, :, None]), dim=2),
            token_log_probabilities=torch.cat(
                (self.token_log_probabilities, token_log_probabilities[:, :, None]), dim=2
            ),
            rank=rank,
            rows=self.rows,
        )


@dataclass(frozen=True)
class Finished:
    """The best finished hypotheses of each sentence so far, best first.

    Attributes:
        tokens: `(num_sentences, num_hypotheses, length)` int64; EOS, and then anything.
        token_log_probabilities: `(num_sentences, num_hypotheses, length)` float32.
        lengths: tokens of each, EOS included: `(num_sentences, num_hypotheses)` int64.
        score: `(num_sentences, num_hypotheses)` float64; minus infinity in places that are still empty.
    """

    tokens: Tensor
    token_log_probabilities: Tensor
    lengths: Tensor
    score: Tensor

    @classmethod
    def empty(cls, num_sentences: int, num_hypotheses: int, device: torch.device) -> Finished:
        """Return `num_hypotheses` empty places for each sentence."""
        shape = (num_sentences, num_hypotheses)
        return cls(
            tokens=torch.empty(*shape, 0, dtype=torch.int64, device=device),
            token_log_probabilities=torch.empty(*shape, 0, device=device),
            lengths=torch.zeros(shape, dtype=torch.int64, device=device),
            score=torch.full(shape, -math.inf, dtype=torch.float64, device=device),
        )

    @property
    def length(self) -> int:
        """Tokens of the longest hypothesis; 0 as long as none has ended."""
        return self.tokens.shape[2]

    def with_ended(self, hypotheses: Hypotheses, alpha: float) -> Finished:
        """Return the best of these and of the hypotheses that end by EOS; ties: the earlier one stays."""
        is_ended = hypotheses.last_tokens == EOS_ID
        if is_ended.device.type == "cpu" and not is_ended.any():  # on other devices the test would synchronize
            return self
        score = hypotheses.rank / length_penalty(hypotheses.length, alpha)
        scores = torch.cat((self.score, torch.where(is_ended, score, -math.inf)), dim=1)
        order = scores.argsort(dim=1, descending=True, stable=True)[:, : self.score.shape[1]]
        places = order[:, :, None].expand(-1, -1, hypotheses.length)

        def merged(before: Tensor, now: Tensor) -> Tensor:
            return torch.cat((F.pad(before, (0, now.shape[2] - before.shape[2])), now), dim=1).gather(1, places)

        return Finished(
            tokens=merged(self.tokens, hypotheses.tokens),
            token_log_probabilities=merged(self.token_log_probabilities, hypotheses.token_log_probabilities),
            lengths=F.pad(self.lengths, (0, score.shape[1]), value=hypotheses.length).gather(1, order),
            score=scores.gather(1, order),
        )

    def of_sentences(self, sentences: Sequence[int]) -> Finished:
        """Return the finished hypotheses of some sentences."""
        places = torch.tensor(sentences, dtype=torch.int64, device=self.score.device)
        return Finished(
            self.tokens.index_select(0, places),
            self.token_log_probabilities.index_select(0, places),
            self.lengths.index_select(0, places),
            self.score.index_select(0, places),
        )


def results_of(live: Hypotheses, finished: Finished, limits: Sequence[int], alpha: float) -> list[list[Candidate]]:
    """Return the results of sentences whose search is over, best first.

    Finished hypotheses come first. Live ones fill the remaining places if they are at the maximum length. If there are
    none either, because nothing that was allowed could follow, the result is the best hypothesis up to that point.

    Args:
        live: live hypotheses.
        finished: finished hypotheses of the same sentences.
        limits: maximum length of each sentence.
        alpha: exponent of the length penalty.
    """
    num_hypotheses = finished.score.shape[1]
    ended_columns = [
        each.tolist() for each in (finished.tokens, finished.token_log_probabilities, finished.lengths, finished.score)
    ]
    live_columns = [each.tolist() for each in (live.tokens, live.token_log_probabilities, live.rank)]
    live_penalty = length_penalty(live.length, alpha)
    results = []
    for limit, ended, alive in zip(
        limits, zip(*ended_columns, strict=True), zip(*live_columns, strict=True), strict=True
    ):
        found = [
            Candidate.from_tokens(tokens[:length], log_probs[:length], alpha, score)
            for tokens, log_probs, length, score in zip(*ended, strict=True)
            if length
        ]
        if live.length == limit:
            cut = [
                Candidate.from_tokens(tokens, log_probs, alpha, rank / live_penalty)
                for tokens, log_probs, rank in zip(*alive, strict=True)
                if rank > -math.inf
            ]
            cut.sort(key=lambda candidate: -candidate.score)  # groups of a diverse beam follow one another
            found += cut[: num_hypotheses - len(found)]
        results.append(found or [_possible_part(alive[0][0], alive[1][0], alpha)])
    return results


def _possible_part(tokens: Sequence[int], log_probs: Sequence[float], alpha: float) -> Candidate:
    """Return the unfinished candidate that ends before the first impossible token."""
    length = next((place for place, value in enumerate(log_probs) if value == -math.inf), len(log_probs))
    return Candidate.from_tokens(tokens[:length], log_probs[:length], alpha)
