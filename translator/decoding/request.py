"""`Request`: what differs between the sequences of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from translator.packing import Packed
from translator.tokenizer import EOS_ID


@dataclass(frozen=True, eq=False)
class TokenSet:
    """Token ids, compared by identity: one object serves many requests.

    Attributes:
        ids: the ids.
    """

    ids: frozenset[int]

    @cached_property
    def indices(self) -> Tensor:
        """The ids in ascending order: `(n,)` int64."""
        return torch.tensor(sorted(self.ids), dtype=torch.int64)


@dataclass(frozen=True)
class Term:
    """Text that an output must contain.

    Attributes:
        forms: token ids of its spellings, of which the output has one; at least one, and none is empty.
        initial_forms: further spellings, with which the output may only begin.
        continuations: tokens that may not follow it, because they would continue its last word.
        is_unique: True if the output must not contain it twice.
    """

    forms: tuple[tuple[int, ...], ...]
    initial_forms: tuple[tuple[int, ...], ...] = ()
    continuations: TokenSet | None = None
    is_unique: bool = False


@dataclass(frozen=True)
class Request:
    """One sequence to decode. Options that hold for the whole call are in `config.DecodingOptions`.

    Attributes:
        source: token ids, without EOS; the prompt, for a language model.
        max_length: maximum number of output tokens, EOS included; at least 1.
        min_length: minimum number of output tokens before EOS.
        prefix: ids that the output begins with, without BOS; shorter than `max_length`.
        terms: terms that the output contains besides its prefix; the tokens and EOS fit `max_length`.
        soft_terms: token ids of terms that get a bonus, see `TermBonus`.
    """

    source: tuple[int, ...]
    max_length: int
    min_length: int = 0
    prefix: tuple[int, ...] = ()
    terms: tuple[Term, ...] = ()
    soft_terms: tuple[tuple[int, ...], ...] = ()


def pack_sources(requests: Sequence[Request], device: torch.device) -> Packed:
    """Return the sources, each ended by EOS, as one packed batch on `device`."""
    return Packed.from_sequences([[*request.source, EOS_ID] for request in requests]).to(device)
