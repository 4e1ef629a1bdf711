"""Beam search: keep the `beam_size` most probable beginnings of each translation, extend all, keep the best again.

Every sentence of the batch is searched on its own. `_Hypotheses` holds the live hypotheses, those not ended yet, as
rectangles `(sentences, width)`; in the model's state they are `sentences * width` rows, those of a sentence side by
side. A hypothesis that draws EOS leaves the beam for its sentence's `_Search`, which keeps the best and knows when
nothing that is still alive can beat them; the sentence then leaves the batch.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from translator.decoding.distribution import log_probabilities, top_tokens
from translator.decoding.search import Candidate, Decodable, DecodingError, State, length_penalty, require_number
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID

_WIDEST = 1024  # hypotheses of one sentence; memory grows with them, and search gains nothing past a few dozen
_STEEPEST = 10  # length penalty; 1 and less are usual, and of hundreds no float holds the powers


@torch.inference_mode()
def beam_search(
    model: Decodable[State],
    source: Packed,
    *,
    max_lengths: Sequence[int],
    beam_size: int,
    alpha: float = 0.0,
    num_hypotheses: int = 1,
) -> list[list[Candidate]]:
    """Search for the translations of highest score, log-probability over the length penalty of Wu et al. (2016).

    At each length the `2 * beam_size` best extensions of a sentence are looked at, best first. Those of the first
    `beam_size` that end by EOS are finished; the first `beam_size` that do not are the next beam. Of equal ones, that
    of the better beginning goes first, then that with the lower token id.

    Args:
        model: what to decode.
        source: ids `(num_tokens,)` int64, each sentence ended by EOS.
        max_lengths: most tokens in each translation, its EOS counted; at least 1.
        beam_size: live hypotheses of each sentence.
        alpha: exponent of the length penalty, at least 0.
        num_hypotheses: how many translations of each sentence to return, at most `beam_size`.

    Returns:
        For each sentence its translations, best first; unfinished ones fill the places that finished ones leave empty.

    Raises:
        DecodingError: a number is out of its range, or the model's logits are not numbers.
    """
    check_beam(beam_size, alpha, num_hypotheses)
    searches = [_Search(max_length, alpha, num_hypotheses) for max_length in max_lengths]
    active = searches
    live = _Hypotheses.empty(len(searches), source.values.device)
    state = model.start(source)
    while active:
        logits = model.step(live.last_tokens.flatten(), state)
        extended = _best_extensions(live, logits, beam_size)
        for sentence, candidate in _ended(extended, beam_size, alpha):
            active[sentence].keep(candidate)
        live = _not_ended(extended, beam_size, width=live.width)
        going = _still_going(active, live)
        active = [active[sentence] for sentence in going]
        if active:
            live = live.of_sentences(torch.tensor(going, device=live.rows.device))
            state = model.reorder(state, live.rows.flatten())
            live = live.renumbered()
    return [search.found for search in searches]


def check_beam(beam_size: int, alpha: float, num_hypotheses: int) -> None:
    """Refuse, with a DecodingError, a beam that cannot be searched."""
    if not 1 <= beam_size <= _WIDEST:
        raise DecodingError(
            f"beam_size, or the number of samples, must be at least 1 and at most {_WIDEST}. Received: {beam_size}."
        )
    if not 0 <= alpha <= _STEEPEST:
        raise DecodingError(f"length_penalty must be at least 0 and at most {_STEEPEST}. Received: {alpha}.")
    if num_hypotheses < 1:
        raise DecodingError(f"num_hypotheses must be at least 1. Received: {num_hypotheses}.")
    if num_hypotheses > beam_size:
        raise DecodingError(
            "num_hypotheses must be at most beam_size. "
            f"Received: num_hypotheses={num_hypotheses}, beam_size={beam_size}. Raise beam_size."
        )


@dataclass(frozen=True)
class _Hypotheses:
    """Beginnings of translations, `width` for each sentence, best first, all of one length.

    Attributes:
        tokens: `(num_sentences, width, length)` int64.
        token_log_probabilities: likewise, float32.
        log_probability: their sums: `(num_sentences, width)` float64, so that rounding does not grow with the length.
            Minus infinity marks one that is impossible and only keeps the rectangle full.
        rows: the row of the model's state that each continues: `(num_sentences, width)` int64.
    """

    tokens: Tensor
    token_log_probabilities: Tensor
    log_probability: Tensor
    rows: Tensor

    @classmethod
    def empty(cls, num_sentences: int, device: torch.device) -> _Hypotheses:
        """One hypothesis of no tokens for each sentence."""
        return cls(
            tokens=torch.empty(num_sentences, 1, 0, dtype=torch.int64, device=device),
            token_log_probabilities=torch.empty(num_sentences, 1, 0, device=device),
            log_probability=torch.zeros(num_sentences, 1, dtype=torch.float64, device=device),
            rows=torch.arange(num_sentences, device=device)[:, None],
        )

    @property
    def width(self) -> int:
        return self.tokens.shape[1]

    @property
    def length(self) -> int:
        return self.tokens.shape[2]

    @property
    def last_tokens(self) -> Tensor:
        """What the model reads next, BOS before anything: `(num_sentences, width)` int64."""
        return self.tokens[:, :, -1] if self.length else torch.full_like(self.rows, BOS_ID)

    def take(self, columns: Tensor) -> _Hypotheses:
        """Some of each sentence: `columns: (num_sentences, new_width)` int64."""
        history = columns[:, :, None].expand(-1, -1, self.length)
        return _Hypotheses(
            tokens=self.tokens.gather(1, history),
            token_log_probabilities=self.token_log_probabilities.gather(1, history),
            log_probability=self.log_probability.gather(1, columns),
            rows=self.rows.gather(1, columns),
        )

    def of_sentences(self, sentences: Tensor) -> _Hypotheses:
        """All of some sentences: `sentences: (new_num_sentences,)` int64."""
        return _Hypotheses(
            self.tokens[sentences],
            self.token_log_probabilities[sentences],
            self.log_probability[sentences],
            self.rows[sentences],
        )

    def renumbered(self) -> _Hypotheses:
        """The same, once the model's state holds just their rows in their order."""
        return replace(self, rows=torch.arange(self.rows.numel(), device=self.rows.device).view_as(self.rows))

    def append(self, tokens: Tensor, token_log_probabilities: Tensor, log_probability: Tensor) -> _Hypotheses:
        """One more token for each hypothesis, and the new sums: three times `(num_sentences, width)`."""
        return _Hypotheses(
            tokens=torch.cat((self.tokens, tokens[:, :, None]), dim=2),
            token_log_probabilities=torch.cat(
                (self.token_log_probabilities, token_log_probabilities[:, :, None]), dim=2
            ),
            log_probability=log_probability,
            rows=self.rows,
        )


def _best_extensions(live: _Hypotheses, logits: Tensor, beam_size: int) -> _Hypotheses:
    """The best `2 * beam_size` hypotheses of each sentence that are one token longer, best first.

    `beam_size + 1` tokens of each row are enough. A hypothesis among the sentence's best `beam_size`, or among its best
    `beam_size` that do not end, has fewer than `beam_size` better ones of the same kind beside it in its row, and a row
    holds one EOS only.

    Args:
        live: `(num_sentences, width)` hypotheses.
        logits: `(num_sentences * width, vocab_size)` float32.
    """
    values, tokens = top_tokens(log_probabilities(logits, is_first=live.length == 0), beam_size + 1)
    num_tokens = tokens.shape[1]  # less than beam_size + 1 where the vocabulary is
    tokens = tokens.reshape(-1, live.width * num_tokens)
    values = values.reshape(-1, live.width * num_tokens)
    sums = live.log_probability.repeat_interleave(num_tokens, dim=1) + values
    best = sums.argsort(dim=1, descending=True, stable=True)[:, : 2 * beam_size]
    beginnings = live.take(best // num_tokens)
    return beginnings.append(tokens.gather(1, best), values.gather(1, best), sums.gather(1, best))


def _ended(extended: _Hypotheses, beam_size: int, alpha: float) -> list[tuple[int, Candidate]]:
    """The hypotheses that end by EOS and are among their sentence's best `beam_size`, each with its sentence."""
    is_ended = (extended.last_tokens == EOS_ID) & (extended.log_probability > -math.inf)
    sentences, columns = is_ended[:, :beam_size].nonzero(as_tuple=True)
    tokens = extended.tokens[sentences, columns].tolist()
    log_probs = extended.token_log_probabilities[sentences, columns].tolist()
    candidates = [Candidate.of(*text, alpha) for text in zip(tokens, log_probs, strict=True)]
    return list(zip(sentences.tolist(), candidates, strict=True))


def _not_ended(extended: _Hypotheses, beam_size: int, width: int) -> _Hypotheses:
    """The best `beam_size` hypotheses of each sentence that do not end, or fewer where a vocabulary is tiny.

    Args:
        extended: extensions of `width` hypotheses; as each has one EOS, at most `width` of them end.
    """
    is_ended = extended.last_tokens == EOS_ID
    order = is_ended.byte().argsort(dim=1, stable=True)
    return extended.take(order[:, : min(beam_size, extended.width - width)])


@dataclass
class _Search:
    """What one sentence has found so far.

    Attributes:
        max_length: most tokens, EOS counted.
        alpha: exponent of the length penalty.
        num_hypotheses: how many candidates are wanted.
        found: the best so far, best first.
    """

    max_length: int
    alpha: float
    num_hypotheses: int
    found: list[Candidate] = field(default_factory=list)

    def keep(self, candidate: Candidate) -> None:
        """Take a finished candidate, and let go of the worst if that makes one too many."""
        insort(self.found, candidate, key=lambda kept: -kept.score)
        del self.found[self.num_hypotheses :]

    def is_settled(self, best_live: float) -> bool:
        """Whether nothing still alive can change what was found.

        Let a live hypothesis have log-probability p <= 0, and let Y be any finished extension of it. Its further tokens
        only add numbers <= 0, so log P(Y) <= p. With alpha >= 0 the penalty lp grows with the length and is positive,
        and |Y| <= max_length, so

            score(Y) = log P(Y) / lp(|Y|) <= p / lp(|Y|) <= p / lp(max_length),

        the last because p <= 0: dividing by more brings it nearer to zero. No bound that looks at p alone is tighter:
        a Y of greatest length whose other tokens are certain reaches it. So once the worst candidate we keep scores at
        least `best_live / lp(max_length)`, every candidate still to come scores no better and is not needed.
        """
        is_full = len(self.found) == self.num_hypotheses
        return is_full and self.found[-1].score >= best_live / length_penalty(self.max_length, self.alpha)

    def cut_short(self, live: _Hypotheses, sentence: int) -> None:
        """Fill the places still empty at the greatest length with the best that have not ended."""
        tokens = live.tokens[sentence].tolist()
        log_probs = live.token_log_probabilities[sentence].tolist()
        for text in zip(tokens, log_probs, strict=True):
            candidate = Candidate.of(*text, self.alpha)
            if len(self.found) < self.num_hypotheses and candidate.log_probability > -math.inf:
                self.found.append(candidate)


def _still_going(active: Sequence[_Search], live: _Hypotheses) -> list[int]:
    """Which sentences go on; those at their greatest length take what they have."""
    going = []
    for sentence, (search, best_live) in enumerate(zip(active, live.log_probability[:, 0].tolist(), strict=True)):
        if live.length == search.max_length:
            search.cut_short(live, sentence)
        elif require_number(best_live) > -math.inf and not search.is_settled(best_live):
            going.append(sentence)
    return going
