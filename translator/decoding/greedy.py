"""Greedy selection: the most probable token in each step."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from translator.decoding.hypotheses import Hypotheses
from translator.decoding.next_tokens import NextTokens
from translator.tokenizer import EOS_ID


class GreedySelection:
    """Extends each hypothesis by its most probable allowed token; ties: the lower id."""

    moves_rows = False

    def __call__(
        self, live: Hypotheses, logits: Tensor, allowed: NextTokens, sentences: Sequence[int]
    ) -> tuple[Hypotheses, Hypotheses]:
        """See `search.Selection`."""
        values, ranks, tokens = allowed.top_tokens(logits, 1)
        return extended_by_one(live, tokens, values, ranks)


def extended_by_one(
    live: Hypotheses, tokens: Tensor, log_probs: Tensor, ranks: Tensor
) -> tuple[Hypotheses, Hypotheses]:
    """Extend the one hypothesis of each sentence by one token.

    Args:
        live: hypotheses of width 1.
        tokens: `(num_sentences, 1)` int64.
        log_probs: log-probability of each token, `(num_sentences, 1)` float32.
        ranks: the same with penalties.

    Returns:
        The extended hypotheses; and the same with those that have ended marked impossible, so that they cannot end
        again before the search removes them.
    """
    extended = live.append(tokens, log_probs, live.rank + ranks)
    is_ended = tokens == EOS_ID
    alive = Hypotheses(
        extended.tokens,
        extended.token_log_probabilities,
        extended.rank.masked_fill(is_ended, -math.inf),
        extended.rows,
    )
    return extended, alive
