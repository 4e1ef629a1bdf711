"""`Decodable`: the interface between a search and a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from translator.packing import Packed

State = TypeVar("State")


class Decodable(Protocol[State]):
    """A model that predicts the next token of many sequences at once.

    Rows do not interact: a sequence must not depend on the other sequences in its batch.
    """

    def start(self, source: Packed) -> State:
        """Encode sources, ids `(num_tokens,)` int64, each ended by EOS. The state has one row per source."""

    def step(self, tokens: Tensor, state: State) -> Tensor:
        """Append `tokens: (rows,)` int64 to the rows of `state`, in place.

        Returns:
            Logits of the next token: `(rows, vocab_size)` floating point. The caller may write to them.
        """

    def reorder(self, state: State, rows: Tensor, sentences: Sequence[int] | None = None) -> State:
        """Return a state whose row i is row `rows[i]` of `state`.

        Args:
            state: not to be used again.
            rows: `(new_rows,)` int64. Rows may be repeated or dropped. The rows of a sentence are adjacent, and
                remaining sentences have equally many.
            sentences: indices of the sentences that remain, among those of `state`, in order; None for all. The host
                has them, so that `rows` need not be read from the device.
        """
