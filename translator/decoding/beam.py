"""Beam selection: extend the `beam_size` best hypotheses of each sentence and keep the best extensions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from translator.decoding.hypotheses import Hypotheses
from translator.decoding.next_tokens import NextTokens
from translator.tokenizer import EOS_ID


class BeamSelection:
    """Keeps the best hypotheses of each sentence.

    In each step the `2 * beam_size` best extensions of a sentence are ranked. Those of the first `beam_size` that end
    by EOS are finished; the first `beam_size` that do not are the next beam. Ties: the extension of the better
    hypothesis goes first, then the lower token id.

    Args:
        beam_size: number of live hypotheses of each sentence.
    """

    moves_rows = True

    def __init__(self, beam_size: int) -> None:
        self.beam_size = beam_size

    def __call__(
        self, live: Hypotheses, logits: Tensor, allowed: NextTokens, sentences: Sequence[int]
    ) -> tuple[Hypotheses, Hypotheses]:
        """See `search.Selection`."""
        extended = best_extensions(live, logits, allowed, self.beam_size)
        return extended.first(self.beam_size), _not_ended(extended, self.beam_size, live.width)


def best_extensions(live: Hypotheses, logits: Tensor, allowed: NextTokens, beam_size: int) -> Hypotheses:
    """Return the best `2 * beam_size` hypotheses of each sentence that are one token longer, best first.

    `beam_size + 1` tokens of each row are enough. A hypothesis among the sentence's best `beam_size`, or among its best
    `beam_size` that do not end, has fewer than `beam_size` better ones of the same kind beside it in its row, and a row
    holds one EOS only.

    Args:
        live: `(num_sentences, width)` hypotheses.
        logits: `(num_sentences * width, vocab_size)` floating point.
        allowed: tokens that may come next.
        beam_size: number of live hypotheses of each sentence.
    """
    num_tokens = min(beam_size + 1, logits.shape[1])
    values, ranks, tokens = (
        each.reshape(-1, live.width * num_tokens) for each in allowed.top_tokens(logits, num_tokens)
    )  # (num_sentences, width * num_tokens)
    sums = live.rank.repeat_interleave(num_tokens, dim=1) + ranks
    best = sums.argsort(dim=1, descending=True, stable=True)[:, : 2 * beam_size]
    prefixes = live.take(best // num_tokens)
    return prefixes.append(tokens.gather(1, best), values.gather(1, best), sums.gather(1, best))


def _not_ended(extended: Hypotheses, beam_size: int, width: int) -> Hypotheses:
    """Return the best `beam_size` hypotheses of each sentence that do not end, or fewer for a tiny vocabulary.

    Args:
        extended: extensions of `width` hypotheses; each has one EOS, so at most `width` of them end.
        beam_size: number of live hypotheses of each sentence.
        width: number of hypotheses that were extended.
    """
    is_ended = extended.last_tokens == EOS_ID
    order = is_ended.byte().argsort(dim=1, stable=True)
    return extended.take(order[:, : min(beam_size, extended.width - width)])
