"""Terms that an output must contain, by grid beam search (Hokamp and Liu, 2017), and terms that get a bonus.

Grid beam search keeps a beam for each number of terms that a hypothesis has begun. A hypothesis that has begun a term
completes it, and only one with all terms may end. Before the tokens that are left would not suffice for the missing
terms, a hypothesis must begin one. So every result has all terms, whatever the model predicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from translator.decoding.candidates import check_not_nan
from translator.decoding.hypotheses import Hypotheses
from translator.decoding.next_tokens import NextTokens
from translator.decoding.request import Request, Term
from translator.tokenizer import EOS_ID, UNK_ID

_MAX_ROWS = 4  # rows of a sentence with many terms, as a multiple of the beam size, besides those with all terms


class _Row(NamedTuple):
    """Terms that a hypothesis has.

    Attributes:
        begun: indices of the terms that are complete or begun.
        rest: tokens to complete the last one, if it is not complete.
        is_after_term: whether the last token completed a term.
    """

    begun: frozenset[int] = frozenset()
    rest: tuple[int, ...] = ()
    is_after_term: bool = False


class _Extension(NamedTuple):
    """One hypothesis that is one token longer: its rank, the row it extends, and its state."""

    rank: float
    parent: int
    token: int
    row: _Row


class TermSelection:
    """Keeps the best hypotheses of each sentence for each number of terms that they have begun.

    Args:
        requests: one per sentence, all with the same number of terms, at least 1.
        beam_size: number of live hypotheses with all terms.
    """

    moves_rows = True

    def __init__(self, requests: Sequence[Request], beam_size: int) -> None:
        self._requests = requests
        self._beam_size = beam_size
        self._num_terms = len(requests[0].terms)
        assert all(len(request.terms) == self._num_terms for request in requests)
        bank_size = max(1, min(beam_size, _MAX_ROWS * beam_size // (self._num_terms + 1)))
        self._sizes = [bank_size] * self._num_terms + [beam_size]
        self._rows = [[_Row()] for _ in requests]  # of the live hypotheses of each sentence

    def __call__(
        self, live: Hypotheses, logits: Tensor, allowed: NextTokens, sentences: Sequence[int]
    ) -> tuple[Hypotheses, Hypotheses]:
        """See `search.Selection`."""
        own = logits.log_softmax(dim=-1, dtype=torch.float32)  # of tokens that come whatever is forbidden
        masked = allowed.mask(own.clone())
        histories, forced = live.tokens.tolist(), None if allowed.forced is None else allowed.forced.tolist()
        self._forbid(masked, histories, sentences)
        ranks, tokens = allowed.ranks(masked).topk(min(self._beam_size + 1, logits.shape[1]), dim=1)
        best = list(zip(ranks.tolist(), tokens.tolist(), strict=True))
        for values, _ in best:
            check_not_nan(values[0])  # a hypothesis of rank NaN would be dropped, and the error with it
        sums, given = live.rank.tolist(), self._given(own, forced, sentences, live.width)
        chosen, finished = [], []
        for place, sentence in enumerate(sentences):
            extensions = [
                extension
                for column, row in enumerate(self._rows[sentence])
                if sums[place][column] > -math.inf or live.length == 0
                for extension in self._extensions(
                    row,
                    column,
                    sums[place][column],
                    self._requests[sentence],
                    live.length,
                    best[place * live.width + column],
                    given[place * live.width + column],
                    -1 if forced is None else forced[place * live.width + column],
                )
            ]
            ended, going = self._choose(extensions)
            finished.append(ended)
            chosen.append(going)
            self._rows[sentence] = [extension.row for extension in going]
        return _extended(live, finished, own), _extended(live, chosen, own)

    def _forbid(
        self, log_probs: Tensor, histories: Sequence[Sequence[Sequence[int]]], sentences: Sequence[int]
    ) -> None:
        """Set the log-probability of tokens that complete or continue a term where they may not to minus infinity."""
        width = len(histories[0])
        rows, tokens = [], []
        for place, sentence in enumerate(sentences):
            terms = self._requests[sentence].terms
            for column, row in enumerate(self._rows[sentence]):
                number = place * width + column
                if row.is_after_term and (continuations := terms[0].continuations) is not None:
                    log_probs[number, continuations.indices.to(log_probs.device)] = -math.inf
                for index, term in enumerate(terms):
                    if index in row.begun and not term.is_unique:
                        continue
                    history = histories[place][column]
                    initial = [form for form in term.initial_forms if len(history) == len(form) - 1]
                    for form in (*term.forms, *initial):
                        before = len(form) - 1
                        if not before or history[-before:] == list(form[:-1]):
                            rows.append(number)
                            tokens.append(form[-1])
                if len(row.begun) < len(terms):
                    rows.append(number)
                    tokens.append(EOS_ID)
        if rows:
            log_probs[rows, tokens] = -math.inf

    def _extensions(
        self,
        row: _Row,
        column: int,
        total: float,
        request: Request,
        length: int,
        best: tuple[Sequence[float], Sequence[int]],
        own: Mapping[int, float],
        forced: int,
    ) -> Iterator[_Extension]:
        """Yield the extensions of one hypothesis.

        Args:
            row: its terms.
            column: its place among those of its sentence.
            total: its rank.
            request: its request.
            length: its length.
            best: ranks and ids of the best allowed tokens.
            own: log-probability of each token of the terms, and of the forced one, whatever is forbidden.
            forced: the only token that may come next, or -1.
        """
        if row.rest:
            token, *rest = row.rest
            yield _Extension(total + own[token], column, token, _Row(row.begun, tuple(rest), is_after_term=not rest))
            return
        if forced >= 0:
            yield _Extension(total + own[forced], column, forced, _Row(row.begun))
            return
        missing = [index for index in range(len(request.terms)) if index not in row.begun]
        if length + 1 + required_length(request.terms[index] for index in missing) <= request.max_length or not missing:
            for rank, token in zip(*best, strict=True):
                if rank > -math.inf:
                    yield _Extension(total + rank, column, token, _Row(row.begun))
        for index in missing:
            others = required_length(request.terms[other] for other in missing if other != index)
            term = request.terms[index]
            for form in term.forms if length else (*term.forms, *term.initial_forms):
                if length + len(form) + others > request.max_length:
                    continue
                begun = _Row(row.begun | {index}, form[1:], is_after_term=len(form) == 1)
                yield _Extension(total + own[form[0]], column, form[0], begun)

    def _given(
        self, log_probs: Tensor, forced: Sequence[int] | None, sentences: Sequence[int], width: int
    ) -> list[dict[int, float]]:
        """Return the log-probabilities of the tokens of each row that may come whatever is forbidden."""
        given = []
        for place, sentence in enumerate(sentences):
            rows = range(place * width, (place + 1) * width)
            ids = sorted(
                {
                    token
                    for term in self._requests[sentence].terms
                    for form in (*term.forms, *term.initial_forms)
                    for token in form
                }
            )
            if forced is not None:
                ids += [forced[row] for row in rows if forced[row] >= 0]
            values = log_probs[rows.start : rows.stop, ids].tolist()
            given += [dict(zip(ids, row, strict=True)) for row in values]
        return given

    def _choose(self, extensions: Sequence[_Extension]) -> tuple[list[_Extension], list[_Extension]]:
        """Return the extensions that end, and those that are the next live hypotheses, bank by bank.

        An extension of rank minus infinity fills each place that is left.
        """
        banks: list[list[_Extension]] = [[] for _ in self._sizes]
        for extension in extensions:
            banks[len(extension.row.begun)].append(extension)
        going = []
        for bank, size in zip(banks, self._sizes, strict=True):
            bank.sort(key=lambda extension: -extension.rank)
            live = [extension for extension in bank if extension.token != EOS_ID][:size]
            going += live + [_Extension(-math.inf, 0, UNK_ID, _Row())] * (size - len(live))
        ended = [extension for extension in banks[-1][: self._beam_size] if extension.token == EOS_ID]
        empty = [_Extension(-math.inf, 0, UNK_ID, _Row())] * (self._beam_size - len(ended))
        return ended + empty, going


def required_length(terms: Iterator[Term] | Sequence[Term]) -> int:
    """Return the number of tokens that terms need at least, with EOS."""
    return 1 + sum(min(map(len, term.forms)) for term in terms)


def _extended(live: Hypotheses, chosen: Sequence[Sequence[_Extension]], log_probs: Tensor) -> Hypotheses:
    """Return the hypotheses that the extensions describe, equally many for each sentence."""
    device = live.rows.device
    parents = torch.tensor([[each.parent for each in row] for row in chosen], device=device)
    tokens = torch.tensor([[each.token for each in row] for row in chosen], device=device)
    ranks = torch.tensor([[each.rank for each in row] for row in chosen], dtype=torch.float64, device=device)
    rows = torch.arange(len(chosen), device=device)[:, None] * live.width + parents
    values = log_probs[rows, tokens].masked_fill(ranks == -math.inf, -math.inf)
    return live.extended(parents, tokens, values, ranks)


@dataclass(frozen=True)
class BonusState:
    """State of `TermBonus`: the forms of the terms of each row, and how much of them has been written.

    Attributes:
        forms: `(rows, num_forms, longest)` int64, padded by UNK.
        lengths: length of each form, 0 for padding: `(rows, num_forms)` int64.
        matched: tokens of each form that the last tokens match: `(rows, num_forms)` int64.
        is_open: forms that have not been written: `(rows, num_forms)` bool.
    """

    forms: Tensor
    lengths: Tensor
    matched: Tensor
    is_open: Tensor


class TermBonus:
    """Each token of a term that the output may contain gets a bonus, which is taken back if the term is not completed.

    Args:
        bias: added to the log-probability of each token where tokens are ranked.
    """

    def __init__(self, bias: float) -> None:
        self._bias = bias

    def start(self, requests: Sequence[Request], device: torch.device) -> BonusState:
        """See `Constraint.start`."""
        count = max(1, max(len(request.soft_terms) for request in requests))
        longest = max((len(form) for request in requests for form in request.soft_terms), default=1)
        forms = torch.full((len(requests), count, longest), UNK_ID, dtype=torch.int64)
        lengths = torch.zeros(len(requests), count, dtype=torch.int64)
        for row, request in enumerate(requests):
            for place, form in enumerate(request.soft_terms):
                forms[row, place, : len(form)] = torch.tensor(form)
                lengths[row, place] = len(form)
        return BonusState(
            forms.to(device), lengths.to(device), torch.zeros_like(lengths, device=device), (lengths > 0).to(device)
        )

    def bonus(self, state: BonusState) -> tuple[Tensor, Tensor, Tensor]:
        """Return the bonus that is added to the ranks of tokens; see `NextTokens.bonus`."""
        following, first = self._following(state), state.forms[:, :, 0]
        is_begun = (state.matched > 0) & (first != following)
        values = torch.cat((state.is_open * (state.matched + 1), is_begun.long()), dim=1) * self._bias
        return torch.cat((following, first), dim=1), values, -self._bias * state.matched.sum(dim=1, keepdim=True)

    def advance(self, state: BonusState, tokens: Tensor) -> BonusState:
        """See `Constraint.advance`."""
        is_next = (self._following(state) == tokens[:, None]) & state.is_open
        is_first = (state.forms[:, :, 0] == tokens[:, None]) & state.is_open
        matched = torch.where(is_next, state.matched + 1, is_first.long())
        is_open = state.is_open & (matched < state.lengths)
        return replace(state, matched=matched * is_open, is_open=is_open)

    def reorder(self, state: BonusState, rows: Tensor) -> BonusState:
        """See `Constraint.reorder`."""
        return BonusState(
            *(x.index_select(0, rows) for x in (state.forms, state.lengths, state.matched, state.is_open))
        )

    def _following(self, state: BonusState) -> Tensor:
        return state.forms.gather(2, state.matched[:, :, None]).squeeze(2)
