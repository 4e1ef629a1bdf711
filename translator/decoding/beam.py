"""Beam search: keep the `beam_size` most probable beginnings of each translation, extend all, keep the best again.

Every sentence of the batch is searched on its own. `_Hypotheses` holds the live hypotheses, those not ended yet, as
rectangles `(sentences, width)`; in the model's state they are `sentences * width` rows, those of a sentence side by
side. A hypothesis that draws EOS leaves the beam for `_Finished`, which keeps the best of each sentence. A step is
tensors in, tensors out: only where the search looks which sentences are settled, nothing that is still alive being able
to beat what they have, does it wait for the device. Those then leave the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from translator.decoding.distribution import first_allowed
from translator.decoding.search import (
    Candidate,
    Decodable,
    DecodingError,
    State,
    is_time_to_look,
    length_penalty,
    require_number,
)
from translator.kernels import top_tokens
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
    device = source.values.device
    found: list[list[Candidate]] = [[] for _ in max_lengths]
    active = list(range(len(max_lengths)))
    live = _Hypotheses.empty(len(active), device)
    finished = _Finished.empty(len(active), num_hypotheses, device)
    state = model.start(source)
    while active:
        logits = model.step(live.last_tokens.flatten(), state)
        extended = _best_extensions(live, logits, beam_size)
        finished = finished.with_ended(extended, beam_size, alpha)
        live = _not_ended(extended, beam_size, width=live.width)
        left, limits = None, [max_lengths[sentence] for sentence in active]
        if is_time_to_look(live.length, limits, device):
            going, gone = _parted(live, finished, limits, alpha)
            if gone:
                for place, candidates in zip(gone, _candidates(live, finished, limits, gone, alpha), strict=True):
                    found[active[place]] = candidates
                left, active = going, [active[place] for place in going]
                live, finished = live.of_sentences(going), finished.of_sentences(going)
        if active:
            state = model.reorder(state, live.rows.flatten(), left)
            live = live.renumbered()
    return found


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

    def of_sentences(self, sentences: Sequence[int]) -> _Hypotheses:
        """All of some sentences."""
        places = torch.tensor(sentences, dtype=torch.int64, device=self.rows.device)
        return _Hypotheses(
            self.tokens[places],
            self.token_log_probabilities[places],
            self.log_probability[places],
            self.rows[places],
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
        logits: `(num_sentences * width, vocab_size)` floating point.
    """
    num_tokens = min(beam_size + 1, logits.shape[1])
    values, tokens = top_tokens(logits, num_tokens, first_token=first_allowed(is_first=live.length == 0))
    tokens = tokens.reshape(-1, live.width * num_tokens)
    values = values.reshape(-1, live.width * num_tokens)
    sums = live.log_probability.repeat_interleave(num_tokens, dim=1) + values
    best = sums.argsort(dim=1, descending=True, stable=True)[:, : 2 * beam_size]
    beginnings = live.take(best // num_tokens)
    return beginnings.append(tokens.gather(1, best), values.gather(1, best), sums.gather(1, best))


def _not_ended(extended: _Hypotheses, beam_size: int, width: int) -> _Hypotheses:
    """The best `beam_size` hypotheses of each sentence that do not end, or fewer where a vocabulary is tiny.

    Args:
        extended: extensions of `width` hypotheses; as each has one EOS, at most `width` of them end.
    """
    is_ended = extended.last_tokens == EOS_ID
    order = is_ended.byte().argsort(dim=1, stable=True)
    return extended.take(order[:, : min(beam_size, extended.width - width)])


@dataclass(frozen=True)
class _Finished:
    """The best finished translations of each sentence so far, best first.

    Attributes:
        tokens: `(num_sentences, num_hypotheses, length)` int64, as long as the live ones; EOS and then anything.
        token_log_probabilities: likewise, float32.
        lengths: tokens of each, EOS counted: `(num_sentences, num_hypotheses)` int64.
        score: `(num_sentences, num_hypotheses)` float64; minus infinity in places that are still empty.
    """

    tokens: Tensor
    token_log_probabilities: Tensor
    lengths: Tensor
    score: Tensor

    @classmethod
    def empty(cls, num_sentences: int, num_hypotheses: int, device: torch.device) -> _Finished:
        """Nothing yet."""
        shape = (num_sentences, num_hypotheses)
        return cls(
            tokens=torch.empty(*shape, 0, dtype=torch.int64, device=device),
            token_log_probabilities=torch.empty(*shape, 0, device=device),
            lengths=torch.zeros(shape, dtype=torch.int64, device=device),
            score=torch.full(shape, -math.inf, dtype=torch.float64, device=device),
        )

    def with_ended(self, extended: _Hypotheses, beam_size: int, alpha: float) -> _Finished:
        """With those that end by EOS and are among their sentence's best `beam_size`; of equal ones the first stay."""
        is_ended = extended.last_tokens[:, :beam_size] == EOS_ID
        score = extended.log_probability[:, :beam_size] / length_penalty(extended.length, alpha)
        scores = torch.cat((self.score, torch.where(is_ended, score, -math.inf)), dim=1)
        order = scores.argsort(dim=1, descending=True, stable=True)[:, : self.score.shape[1]]
        places = order[:, :, None].expand(-1, -1, extended.length)

        def merged(before: Tensor, now: Tensor) -> Tensor:
            return torch.cat((F.pad(before, (0, 1)), now[:, :beam_size]), dim=1).gather(1, places)

        return _Finished(
            tokens=merged(self.tokens, extended.tokens),
            token_log_probabilities=merged(self.token_log_probabilities, extended.token_log_probabilities),
            lengths=F.pad(self.lengths, (0, score.shape[1]), value=extended.length).gather(1, order),
            score=scores.gather(1, order),
        )

    def of_sentences(self, sentences: Sequence[int]) -> _Finished:
        """All of some sentences."""
        places = torch.tensor(sentences, dtype=torch.int64, device=self.score.device)
        return _Finished(
            self.tokens[places], self.token_log_probabilities[places], self.lengths[places], self.score[places]
        )


def _parted(live: _Hypotheses, finished: _Finished, limits: Sequence[int], alpha: float) -> tuple[list[int], list[int]]:
    """Sentences that go on, and those that are at their greatest length or in which nothing alive can win any more.

    Let a live hypothesis have log-probability p <= 0, and let Y be any finished extension of it. Its further tokens
    only add numbers <= 0, so log P(Y) <= p. With alpha >= 0 the penalty lp grows with the length and is positive, and
    |Y| <= max_length, so

        score(Y) = log P(Y) / lp(|Y|) <= p / lp(|Y|) <= p / lp(max_length),

    the last because p <= 0: dividing by more brings it nearer to zero. No bound that looks at p alone is tighter: a Y
    of greatest length whose other tokens are certain reaches it. So once the worst of the translations that we keep
    scores at least `p / lp(max_length)` for the best p, every one still to come scores no better and is not needed.

    Args:
        limits: greatest length of each sentence.
    """
    numbers = torch.stack((live.log_probability[:, 0], finished.score[:, -1]), dim=1).tolist()  # waits for the device
    going: list[int] = []
    gone: list[int] = []
    for place, ((best_live, worst_kept), limit) in enumerate(zip(numbers, limits, strict=True)):
        can_win = require_number(best_live) / length_penalty(limit, alpha) > worst_kept
        (going if can_win and live.length < limit else gone).append(place)
    return going, gone


def _candidates(
    live: _Hypotheses, finished: _Finished, limits: Sequence[int], gone: Sequence[int], alpha: float
) -> list[list[Candidate]]:
    """What the sentences that leave have found, best first.

    Where one is at its greatest length, live hypotheses fill the places that finished ones leave empty.
    """
    kept, cut = finished.of_sentences(gone), live.of_sentences(gone)
    kept_columns = (kept.tokens.tolist(), kept.token_log_probabilities.tolist(), kept.lengths.tolist())
    cut_columns = (cut.tokens.tolist(), cut.token_log_probabilities.tolist(), cut.log_probability.tolist())
    results = []
    for place, ended, alive in zip(gone, zip(*kept_columns, strict=True), zip(*cut_columns, strict=True), strict=True):
        texts = [(tokens[:length], log_probs[:length]) for tokens, log_probs, length in zip(*ended, strict=True)]
        found = [Candidate.of(tokens, log_probs, alpha) for tokens, log_probs in texts if tokens]
        found.sort(key=lambda candidate: -candidate.score)
        if live.length == limits[place]:
            texts = [(tokens, log_probs) for tokens, log_probs, total in zip(*alive, strict=True) if total > -math.inf]
            room = kept.score.shape[1] - len(found)
            found += [Candidate.of(tokens, log_probs, alpha) for tokens, log_probs in texts[:room]]
        results.append(found)
    return results
