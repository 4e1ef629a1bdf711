"""Constraints: rules about which tokens may not come next.

The model's probabilities are normalized first and masked after, so every score is the model's own, whatever is
forbidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.next_tokens import NextTokens
from translator.decoding.request import Request
from translator.decoding.terms import TermBonus
from translator.tokenizer import EOS_ID, UNK_ID

_MAX_CYCLE_REPEATS = 3  # of a short cycle, in any text: "very, very, very"
_MAX_SOURCE_CYCLE = 4  # longest cycle, in tokens, that is counted in a source
_UNLIMITED = 1 << 20  # more occurrences than a text has

ConstraintState = TypeVar("ConstraintState")


class Constraint(Protocol[ConstraintState]):
    """A rule about the next token of each row. Rows must not interact.

    The state of a row depends on its request alone, so that all rows of a request have the same.
    """

    def start(self, requests: Sequence[Request], device: torch.device) -> ConstraintState:
        """Return the state: one row per request."""

    def forbidden(self, state: ConstraintState, written: Tensor) -> Tensor | None:
        """Return the ids that may not follow the tokens written so far, `(rows, n)` int64, or None if there are none.

        UNK_ID, which never may, fills the places of rows with fewer ids.

        Args:
            state: state of the rows.
            written: `(rows, length)` int64, without BOS.
        """

    def reorder(self, state: ConstraintState, rows: Tensor) -> ConstraintState:
        """Return a state whose row i is row `rows[i]` of `state`; see `Decodable.reorder`."""


class Constraints:
    """All constraints of a search, applied together. A state is the list of theirs.

    Args:
        constraints: may be empty; special tokens are forbidden in any case.
        repetition_penalty: see `DecodingOptions`.
        term_bonus: raises terms that outputs may contain; None if no request has any.
    """

    def __init__(
        self,
        constraints: Sequence[Constraint[Any]] = (),
        repetition_penalty: float = 1.0,
        term_bonus: TermBonus | None = None,
    ) -> None:
        self._constraints = constraints
        self._repetition_penalty = repetition_penalty
        self._term_bonus = term_bonus
        self._prefix = Prefix()

    @classmethod
    def from_options(cls, options: DecodingOptions, requests: Sequence[Request] = ()) -> Constraints:
        """Return the constraints that the options and requests ask for."""
        ngrams = [NoRepeatedNgram(options.no_repeat_ngram)] if options.no_repeat_ngram else []
        bonus = TermBonus(options.term_bias) if any(request.soft_terms for request in requests) else None
        return cls([MinLength(), *ngrams], options.repetition_penalty, bonus)

    def start(self, requests: Sequence[Request], device: torch.device) -> ConstraintStates:
        """See `Constraint.start`."""
        states = [constraint.start(requests, device) for constraint in self._constraints]
        bonus = None if self._term_bonus is None else self._term_bonus.start(requests, device)
        return ConstraintStates(self._prefix.start(requests, device), states, bonus)

    def next_tokens(self, states: ConstraintStates, written: Tensor) -> NextTokens:
        """Return the tokens that may follow those written so far: `(rows, length)` int64, without BOS."""
        step = written.shape[1]
        ids = [each.forbidden(state, written) for each, state in zip(self._constraints, states.others, strict=True)]
        penalized = written if step and self._repetition_penalty > 1 else None
        forced = self._prefix.forced(states.prefix, step)
        bonus = None if self._term_bonus is None else self._term_bonus.bonus(states.bonus)
        return NextTokens.in_step(step, ids, forced, penalized, self._repetition_penalty, bonus)

    def advance(self, states: ConstraintStates, tokens: Tensor) -> ConstraintStates:
        """Return the state after one more token per row, `(rows,)` int64."""
        if self._term_bonus is None:
            return states
        return replace(states, bonus=self._term_bonus.advance(states.bonus, tokens))

    def reorder(self, states: ConstraintStates, rows: Tensor, sentences: Sequence[int] | None) -> ConstraintStates:
        """Return states whose row i is row `rows[i]` of `states`; see `Decodable.reorder` for the arguments."""
        bonus = None if self._term_bonus is None else self._term_bonus.reorder(states.bonus, rows)
        if sentences is None and rows.shape[0] == states.prefix.shape[0]:  # each row has the request that it had
            return replace(states, bonus=bonus)
        others = [each.reorder(state, rows) for each, state in zip(self._constraints, states.others, strict=True)]
        return ConstraintStates(self._prefix.reorder(states.prefix, rows), others, bonus)


@dataclass(frozen=True)
class ConstraintStates:
    """State of `Constraints`.

    Attributes:
        prefix: prefix of each row, `(rows, longest)` int64, padded by -1.
        others: state of each further constraint.
        bonus: state of the bonus of terms, if there is one.
    """

    prefix: Tensor
    others: Sequence[Any]
    bonus: Any = None


class Prefix:
    """Each output begins with the prefix of its request."""

    def start(self, requests: Sequence[Request], device: torch.device) -> Tensor:
        """Return the prefixes: `(rows, longest)` int64, padded by -1."""
        longest = max(len(request.prefix) for request in requests)
        rows = [[*request.prefix, *[-1] * (longest - len(request.prefix))] for request in requests]
        return torch.tensor(rows, dtype=torch.int64, device=device)

    def forced(self, prefixes: Tensor, step: int) -> Tensor | None:
        """Return the token that must come in a step, counted from 0; see `NextTokens.forced`."""
        return prefixes[:, step] if step < prefixes.shape[1] else None

    def reorder(self, prefixes: Tensor, rows: Tensor) -> Tensor:
        """See `Constraint.reorder`."""
        return prefixes.index_select(0, rows)


@dataclass(frozen=True)
class LengthState:
    """State of `MinLength`.

    Attributes:
        min_lengths: minimum length of each row: `(rows, 1)` int64.
        longest: their maximum, on the host.
    """

    min_lengths: Tensor
    longest: int


class MinLength:
    """No sequence ends before the minimum length of its request."""

    def start(self, requests: Sequence[Request], device: torch.device) -> LengthState:
        """See `Constraint.start`."""
        lengths = [request.min_length for request in requests]
        return LengthState(torch.tensor(lengths, device=device)[:, None], max(lengths))

    def forbidden(self, state: LengthState, written: Tensor) -> Tensor | None:
        """See `Constraint.forbidden`: EOS."""
        length = written.shape[1]
        return torch.where(state.min_lengths > length, EOS_ID, UNK_ID) if length < state.longest else None

    def reorder(self, state: LengthState, rows: Tensor) -> LengthState:
        """See `Constraint.reorder`."""
        return replace(state, min_lengths=state.min_lengths.index_select(0, rows))


@dataclass(frozen=True)
class NgramLimits:
    """State of `NoRepeatedNgram`.

    Attributes:
        max_occurrences: maximum count of an n-gram in each row: `(rows, 1)` int64.
        max_repeats: maximum number of repetitions of a short cycle in each row: `(rows, 1)` int64, at least
            `_MAX_CYCLE_REPEATS`.
    """

    max_occurrences: Tensor
    max_repeats: Tensor

    def of(self, rows: Tensor) -> NgramLimits:
        """Return the limits of some rows, `(n,)` int64."""
        return NgramLimits(self.max_occurrences.index_select(0, rows), self.max_repeats.index_select(0, rows))


class NoRepeatedNgram:
    """No n-gram occurs more often than the most frequent n-gram of the source.

    A model far from its training data falls into cycles ("of the Minister of the Minister of the …"), each repetition
    making the next more probable. `no_repeat_ngram_size` of Hugging Face, fairseq and CTranslate2 breaks them, but it
    also forbids necessary repetition ("Non, non, non, non !"), and allows n equal words in a row. Here the source sets
    the limit, and a cycle shorter than n tokens is limited too.

    Args:
        n: length of the n-grams, at least 1.
    """

    def __init__(self, n: int) -> None:
        self.n = min(n, _UNLIMITED)

    def start(self, requests: Sequence[Request], device: torch.device) -> NgramLimits:
        """See `Constraint.start`; counts what each source repeats."""
        repeats = [max_repeats(request.source) for request in requests]
        occurrences = [max(max_occurrences(r.source, self.n), n) for r, n in zip(requests, repeats, strict=True)]
        limits = torch.tensor([occurrences, repeats], dtype=torch.int64, device=device)[:, :, None]
        return NgramLimits(limits[0], limits[1].clamp(min=_MAX_CYCLE_REPEATS))

    def forbidden(self, state: NgramLimits, written: Tensor) -> Tensor | None:
        """See `Constraint.forbidden`: those earlier tokens of a row that would repeat too much."""
        if not written.shape[1]:
            return None
        if written.device.type != "cpu":
            return self._too_frequent(written, state)
        rows = self._repeating(written)
        if not rows.shape[0]:  # `len` of a tensor takes longer than the smallest operations
            return None
        ids = torch.full_like(written, UNK_ID)
        ids[rows] = self._too_frequent(written[rows], state.of(rows))
        return ids

    def reorder(self, state: NgramLimits, rows: Tensor) -> NgramLimits:
        """See `Constraint.reorder`."""
        return state.of(rows)

    def _repeating(self, written: Tensor) -> Tensor:
        """Return the rows whose end occurs earlier in them, `(n,)` int64: no other row can repeat too much.

        Few rows are left. On other devices than the CPU, finding them would synchronize.
        """
        # What repeats an n-gram has its first n - 1 tokens at the end of the row; a cycle that comes once too often has
        # at least two.
        size = min(self.n - 1, _MAX_CYCLE_REPEATS - 1)
        if written.shape[1] <= size:
            return written.new_empty(0)
        ends = written.unfold(1, size, 1)  # (rows, length + 1 - size, size)
        return (ends[:, :-1] == ends[:, -1:]).all(dim=2).any(dim=1).nonzero().squeeze(1)

    def _seen(self, written: Tensor, max_repeats: Tensor) -> Tensor:
        """Return 1 where a token ends an n-gram that it would end again as the next token.

        Returns:
            `(rows, length)` int32; a token that would end one cycle too many counts as seen too often.
        """
        length = written.shape[1]
        # How far back prefixes are compared: all n-grams, and cycles of n tokens.
        reach = min(_MAX_CYCLE_REPEATS * self.n, length)
        before = F.pad(written, (reach, 0), value=-1).unfold(1, reach, 1)  # (rows, length + 1, reach)
        is_same = before[:, :-1] == before[:, -1:]  # -1 is compared with a token first, so nothing matches past it
        matched = is_same.flip(2).cumprod(dim=2, dtype=torch.int8).sum(dim=2) + 1  # with the next token
        distance = torch.arange(length, 0, -1, device=written.device)
        return (matched >= self.n).int().masked_fill(matched // distance >= max_repeats, _UNLIMITED)

    def _too_frequent(self, written: Tensor, limits: NgramLimits) -> Tensor:
        """Return `written: (rows, length)` with UNK_ID in place of what may come next."""
        seen = self._seen(written, limits.max_repeats)
        is_same = written[:, :, None] == written[:, None, :]
        is_forbidden = (is_same * seen[:, None, :]).sum(dim=2) >= limits.max_occurrences
        return written.masked_fill(~is_forbidden, UNK_ID)


def max_occurrences(ids: Sequence[int], n: int) -> int:
    """Return the count of the most frequent n-gram of a text; at least 1."""
    return max(Counter(tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)).values(), default=1)


def max_repeats(ids: Sequence[int]) -> int:
    """Return the maximum number of times that a short cycle of a text occurs in a row; at least 1."""
    return max(_cycle_repeats(ids, period) for period in range(1, _MAX_SOURCE_CYCLE + 1))


def _cycle_repeats(ids: Sequence[int], period: int) -> int:
    """Return the maximum number of times in a row that a cycle of `period` tokens occurs."""
    longest = length = 0
    for token, before in zip(ids[period:], ids, strict=False):
        length = length + 1 if token == before else 0
        longest = max(longest, length)
    return longest // period + 1
