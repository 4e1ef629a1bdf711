"""Beam selection: extend the best hypotheses of each sentence and keep the best extensions, in one group or several."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from translator.decoding.hypotheses import Hypotheses
from translator.decoding.next_tokens import NextTokens
from translator.tokenizer import EOS_ID


class BeamSelection:
    """Keeps the best hypotheses of each sentence.

    In each step the `2 * beam_size` best extensions of a sentence are ranked. Those of the first `beam_size` that end
    by EOS are finished; the first `beam_size` that do not are the next beam. Ties: the extension of the better
    hypothesis goes first, then the lower token id.

    Diverse beam search (Vijayakumar et al., 2016) divides the beam into groups that do this one after the other, each
    with its own hypotheses. Where a group ranks its extensions, a token costs `diversity_penalty` for each hypothesis
    of an earlier group that was just extended by it. Ranks and scores do not include this cost.

    Args:
        beam_size: number of live hypotheses of each sentence.
        num_groups: number of groups; divides `beam_size`.
        diversity_penalty: see `DecodingOptions`.
    """

    moves_rows = True

    def __init__(self, beam_size: int, num_groups: int = 1, diversity_penalty: float = 0.0) -> None:
        self.beam_size = beam_size
        self._num_groups = num_groups
        self._diversity_penalty = diversity_penalty

    def __call__(
        self, live: Hypotheses, logits: Tensor, allowed: NextTokens, sentences: Sequence[int]
    ) -> tuple[Hypotheses | None, Hypotheses]:
        """See `search.Selection`."""
        # Enough for every group: the earlier ones penalize fewer tokens than the other groups have hypotheses.
        found = allowed.top_tokens(logits, min(self.beam_size + 1, logits.shape[1]))
        if self._num_groups == 1:
            return _best(live, found, self.beam_size)
        size, ended, going = self.beam_size // self._num_groups, list[Hypotheses](), list[Hypotheses]()
        width = max(live.width // self._num_groups, 1)  # in the first step all groups extend the same hypothesis
        by_sentence = [each.view(-1, live.width, each.shape[1]) for each in found]
        for group in range(self._num_groups):
            columns = slice(group * width, (group + 1) * width) if live.width > 1 else slice(1)
            values, ranks, tokens = (each[:, columns].flatten(0, 1) for each in by_sentence)
            cost = None
            if going:
                taken = torch.cat([each.last_tokens for each in going], dim=1).repeat_interleave(width, dim=0)
                cost = (tokens[:, :, None] == taken[:, None, :]).sum(dim=2) * self._diversity_penalty
            group_ended, group_live = _best(live.columns(columns), (values, ranks, tokens), size, cost)
            if group_ended is not None:
                ended.append(group_ended)
            going.append(group_live)
        return Hypotheses.side_by_side(ended) if ended else None, Hypotheses.side_by_side(going)


def _best(
    live: Hypotheses, found: tuple[Tensor, Tensor, Tensor], beam_size: int, cost: Tensor | None = None
) -> tuple[Hypotheses | None, Hypotheses]:
    """Return the best extensions of which those that end are finished, and the next live hypotheses.

    `beam_size + 1` tokens of each row are enough. An extension among the sentence's best `beam_size`, or among its best
    `beam_size` that do not end, has fewer than `beam_size` better ones of the same kind beside it in its row, and a row
    holds one EOS only.

    Args:
        live: `(num_sentences, width)` hypotheses.
        found: log-probabilities, ranks and ids of the best tokens of each row: `(num_sentences * width, num_tokens)`.
        beam_size: number of live hypotheses of each sentence.
        cost: subtracted from ranks where extensions are compared; the same shape, or None.
    """
    values, ranks, tokens = found
    num_tokens = tokens.shape[1]
    sums = (live.rank[:, :, None] + ranks.view(-1, live.width, num_tokens)).flatten(1)
    values, tokens = values.reshape(sums.shape), tokens.reshape(sums.shape)
    compared = sums if cost is None else sums - cost.view_as(sums)
    best = compared.argsort(dim=1, descending=True, stable=True)[:, : 2 * beam_size]

    def extended(places: Tensor) -> Hypotheses:
        new = (each.gather(1, places) for each in (tokens, values, sums))
        return live.extended(places // num_tokens, *new)

    first = extended(best[:, :beam_size])
    if best.device.type == "cpu" and not (first.last_tokens == EOS_ID).any():  # elsewhere the test would synchronize
        return None, first
    # Each of the `live.width` hypotheses has one EOS, so at most as many extensions end; a vocabulary may be tiny.
    width = min(beam_size, best.shape[1] - live.width)
    is_ended = tokens.gather(1, best) == EOS_ID
    order = is_ended.byte().argsort(dim=1, stable=True)[:, :width]
    return first, extended(best.gather(1, order))
