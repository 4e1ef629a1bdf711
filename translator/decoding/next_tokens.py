"""`NextTokens`: which tokens may come next in a step, and what ranks them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from translator.kernels import largest, top_tokens
from translator.tokenizer import BOS_ID, EOS_ID, UNK_ID


@dataclass(frozen=True)
class NextTokens:
    """The tokens that may come next in one step, and the values that rank them.

    Attributes:
        first_allowed: no id below it may come next, in any row. Special tokens have the lowest ids. A bound costs the
            CUDA kernel of `top_tokens` nothing, whereas ids cost it one more pass over the logits.
        ids: further ids of each row, `(rows, n)` int64, or None.
        forced: the only id that may come next in each row, whatever else is forbidden: `(rows,)` int64, -1 in rows
            that are free; or None.
        penalized: ids whose log-probability is multiplied by `penalty` where tokens are ranked, `(rows, n)` int64; or
            None.
        penalty: at least 1.
        bonus: ids, `(rows, n)` int64, what is added to their log-probability where tokens are ranked, of the same
            shape, and what is added to that of all tokens, `(rows, 1)`; or None.
    """

    first_allowed: int
    ids: Tensor | None = None
    forced: Tensor | None = None
    penalized: Tensor | None = None
    penalty: float = 1.0
    bonus: tuple[Tensor, Tensor, Tensor] | None = None

    @classmethod
    def in_step(
        cls,
        step: int,
        ids: Sequence[Tensor | None] = (),
        forced: Tensor | None = None,
        penalized: Tensor | None = None,
        penalty: float = 1.0,
        bonus: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> NextTokens:
        """Return the tokens that special tokens, constraints and prefixes forbid in a step, counted from 0.

        UNK and BOS never come (byte fallback spells everything), and EOS does not come first: a text that says
        something is not translated by nothing.
        """
        assert UNK_ID < BOS_ID < EOS_ID
        present = [each for each in ids if each is not None]
        joined = torch.cat(present, dim=1) if present else None
        return cls(EOS_ID if step else EOS_ID + 1, joined, forced, penalized, penalty, bonus)

    def top_tokens(self, logits: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the allowed tokens of highest rank, best first; ties: the lower id.

        Args:
            logits: `(rows, vocab_size)` floating point; may be overwritten, see `kernels.top_tokens`.
            count: tokens per row.

        Returns:
            Log-probabilities, the values that rank, float32, and ids, int64: three times `(rows, count)`.
        """
        if self.forced is None and self.penalized is None and self.bonus is None:
            values, tokens = top_tokens(logits, count, first_token=self.first_allowed, forbidden=self.ids)
            return values, values, tokens
        log_probs = self.log_probabilities(logits)
        ranks, tokens = largest(self.ranks(log_probs), count)
        return log_probs.gather(1, tokens), ranks, tokens

    def ranks(self, log_probs: Tensor) -> Tensor:
        """Return the values that rank tokens, from all log-probabilities, `(rows, vocab_size)` float32."""
        ranks = log_probs
        if self.penalized is not None:
            ranks = ranks.scatter(1, self.penalized, ranks.gather(1, self.penalized) * self.penalty)
        if self.bonus is not None:
            ids, values, of_all = self.bonus
            ranks = (ranks + of_all).scatter_add(1, ids, values)
        return ranks

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Return the model's log-probabilities `(rows, vocab_size)` float32, minus infinity for forbidden tokens."""
        return self.mask(logits.log_softmax(dim=-1, dtype=torch.float32))

    def mask(self, log_probs: Tensor) -> Tensor:
        """Return log-probabilities `(rows, vocab_size)` with minus infinity for forbidden tokens; changes its input."""
        forced = None if self.forced is None else self._forced(log_probs)
        log_probs[:, : self.first_allowed] = -math.inf
        if self.ids is not None:
            log_probs.scatter_(1, self.ids, -math.inf)
        if forced is None or self.forced is None:
            return log_probs
        return torch.where(self.forced[:, None] < 0, log_probs, forced)

    def _forced(self, log_probs: Tensor) -> Tensor:
        """Return `log_probs: (rows, vocab_size)` with minus infinity for all but the forced token of each row."""
        assert self.forced is not None
        tokens = self.forced.clamp(min=0)[:, None]
        return torch.full_like(log_probs, -math.inf).scatter_(1, tokens, log_probs.gather(1, tokens))
