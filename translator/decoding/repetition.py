"""Keeping a search out of loops: no run of n pieces comes more often than the source repeats its own.

A model far from what it learned falls into cycles ("of the Minister of the Minister of the …"): each turn makes the
next one likelier. What Hugging Face, fairseq and CTranslate2 call `no_repeat_ngram_size` breaks them, but with two
faults in translation. It forbids what has to be repeated ("Non, non, non, non !", a long name that comes twice), so
here the source says how much of it is right; and it lets n words in a row through that are one piece each ("tax tax
tax tax"), so a cycle shorter than n pieces may not go on for ever either.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

import torch
import torch.nn.functional as F
from torch import Tensor

from translator.decoding.search import Decodable, State
from translator.packing import Packed
from translator.tokenizer import UNK_ID

_MOST_TURNS = 3  # of a short cycle that any text may have: "very, very, very"
_LONGEST_CYCLE = 4  # pieces, of those that are counted in a source
_NEVER = 1 << 20  # more occurrences than a text has


def without_repetition(model: Decodable[Any], n: int) -> Decodable[Any]:
    """The model as a search shall see it where no n-gram may be repeated; the model itself where `n` is 0."""
    return NoRepetition(model, n) if n else model


@dataclass
class GuardedState(Generic[State]):
    """Where the guarded model stands, and what its rows may still write.

    Attributes:
        inner: the model's own state.
        tokens: what each row has taken, BOS first: `(rows, length)` int64.
        occurrences: how often an n-gram may come in each row: `(rows, 1)` int64.
        turns: how often a short cycle may come in a row: `(rows, 1)` int64.
    """

    inner: State
    tokens: Tensor
    occurrences: Tensor
    turns: Tensor


class NoRepetition(Generic[State]):
    """A model that gives no probability to a token which would make an n-gram come too often.

    It is a `Decodable` around a `Decodable`, so every search is guarded in the same way, and one that is not pays
    nothing. Rows know only themselves: batch mates change nothing.

    Args:
        model: what to guard.
        n: length of the n-grams, at least 1.
    """

    def __init__(self, model: Decodable[State], n: int) -> None:
        self.model = model
        self.n = min(n, _NEVER)

    def start(self, source: Packed) -> GuardedState[State]:
        """As `Decodable.start`."""
        sentences = [ids[:-1].tolist() for ids in source.unpack()]
        turns = [most_turns(ids) for ids in sentences]
        occurrences = [max(most_occurrences(ids, self.n), turn) for ids, turn in zip(sentences, turns, strict=True)]
        allowed = torch.tensor([occurrences, turns], dtype=torch.int64, device=source.values.device)[:, :, None]
        return GuardedState(
            inner=self.model.start(source),
            tokens=torch.empty(len(sentences), 0, dtype=torch.int64, device=source.values.device),
            occurrences=allowed[0],
            turns=allowed[1].clamp(min=_MOST_TURNS),
        )

    def step(self, tokens: Tensor, state: GuardedState[State]) -> Tensor:
        """As `Decodable.step`.

        The share of what is forbidden goes to UNK, which no search lets through: the others keep the probability that
        the model gave them, and a beginning that wanted to go in circles does not gain from being stopped.
        """
        logits = self.model.step(tokens, state.inner)
        state.tokens = torch.cat((state.tokens, tokens[:, None]), dim=1)
        seen = self._seen(state)
        # Few beginnings have an n-gram that they could repeat, but to find them is to wait for a device.
        all_rows = torch.arange(len(logits), device=logits.device)[:, None]
        rows = seen.any(dim=1).nonzero() if logits.device.type == "cpu" else all_rows  # (n, 1)
        written, seen = state.tokens[rows[:, 0], 1:], seen[rows[:, 0]]  # (n, length - 1)
        is_same = written[:, :, None] == written[:, None, :]
        is_forbidden = (is_same * seen[:, None, :]).sum(dim=2) >= state.occurrences[rows[:, 0]]
        is_repeated = is_same.tril(-1).any(dim=2)  # a token that was written before: its logit counts once
        values = logits[rows, written]
        logits[rows, written] = values.masked_fill(is_forbidden, -math.inf)
        share = values.masked_fill(~is_forbidden | is_repeated, -math.inf).logsumexp(dim=1, keepdim=True)
        logits[rows, UNK_ID] = torch.logaddexp(logits[rows, UNK_ID], share)
        return logits

    def reorder(
        self, state: GuardedState[State], rows: Tensor, sentences: Sequence[int] | None = None
    ) -> GuardedState[State]:
        """As `Decodable.reorder`."""
        inner = self.model.reorder(state.inner, rows, sentences)
        return GuardedState(inner, state.tokens[rows], state.occurrences[rows], state.turns[rows])

    def _seen(self, state: GuardedState[State]) -> Tensor:
        """Whether each token but the first ends an n-gram that it would end again: `(rows, length - 1)` int32.

        A token that would end one turn too many of a short cycle counts as seen too often.
        """
        tokens, length = state.tokens, state.tokens.shape[1]
        # As far back as beginnings are compared: cycles of n pieces, and all n-grams.
        reach = min(_MOST_TURNS * self.n, length)
        before = F.pad(tokens, (reach, 0), value=-1).unfold(1, reach, 1)  # (rows, length + 1, reach)
        is_same = before[:, 1:-1] == before[:, -1:]  # BOS comes once, so no comparison gets past it
        matched = is_same.flip(2).cumprod(dim=2, dtype=torch.int8).sum(dim=2) + 1  # with the token to come
        distance = torch.arange(length - 1, 0, -1, device=tokens.device)
        return (matched >= self.n).int().masked_fill(matched // distance >= state.turns, _NEVER)


def most_occurrences(ids: Sequence[int], n: int) -> int:
    """How often the most frequent n-gram of a text comes; at least 1."""
    return max(Counter(tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)).values(), default=1)


def most_turns(ids: Sequence[int]) -> int:
    """The most times that a short cycle of a text comes in a row; at least 1."""
    return max(_turns(ids, period) for period in range(1, _LONGEST_CYCLE + 1))


def _turns(ids: Sequence[int], period: int) -> int:
    """The most times in a row that so many pieces come."""
    most = length = 0
    for token, before in zip(ids[period:], ids, strict=False):
        length = length + 1 if token == before else 0
        most = max(most, length)
    return most // period + 1
