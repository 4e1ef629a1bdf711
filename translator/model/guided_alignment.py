"""Guided alignment: a head of cross-attention learns word alignments (Chen et al., 2016; Garg et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from translator.packing import SequenceLayout, TokenLinks


class AlignmentGuide:
    """Collects the loss of one head of the decoder's cross-attention during a forward pass.

    Not a dataclass: FSDP2 copies those among the arguments of a layer, and the loss would stay in the copy.

    Args:
        layer: number of the layer, from 0.
        head: number of the head, from 0.
        links: links that the head should follow.
    """

    def __init__(self, layer: int, head: int, links: TokenLinks) -> None:
        self._layer, self._head, self._links = layer, head, links
        self._loss: Tensor | None = None

    @property
    def loss(self) -> Tensor:
        """Cross entropy in nats, summed over the target tokens that have links; known once the layer has run."""
        assert self._loss is not None
        return self._loss

    def at(self, layer: int) -> AlignmentGuide | None:
        """Return the guide if it concerns a layer."""
        return self if layer == self._layer else None

    def observe(
        self, projections: Sequence[Tensor], layout: SequenceLayout, memory_layout: SequenceLayout, scale: float
    ) -> None:
        """Compute the loss from queries and keys, as `CrossAttention.project` returns them, and their layouts."""
        queries, keys_values = projections
        queries, keys = queries[:, 0, self._head], keys_values[:, 0, self._head]
        self._loss = alignment_loss(queries, keys, layout, memory_layout, scale, self._links)


def alignment_loss(
    queries: Tensor,
    keys: Tensor,
    layout: SequenceLayout,
    memory_layout: SequenceLayout,
    scale: float,
    links: TokenLinks,
) -> Tensor:
    """Return the cross entropy of attention weights against links, summed over the target tokens that have links.

    The target distribution of a token is uniform over the source tokens that it is linked to. Weights are computed over
    padded sequences, in float32, without dropout.

    Args:
        queries: `(num_target_tokens, head_dim)`; the query of a token is that of the step that predicts it.
        keys: `(num_source_tokens, head_dim)`.
        layout: layout of the queries.
        memory_layout: layout of the keys.
        scale: factor on the scores.
        links: links between target and source tokens.
    """
    scores = torch.bmm(_padded(queries, layout), _padded(keys, memory_layout).transpose(1, 2)).float() * scale
    lengths = memory_layout.cu_seqlens.diff()
    is_padding = torch.arange(memory_layout.max_seqlen, device=keys.device) >= lengths[:, None]
    # Not minus infinity: sequences of padding have no keys, and their gradients would be NaN.
    scores = scores.masked_fill(is_padding[:, None], torch.finfo(scores.dtype).min)
    sequence, target, source = links.places
    return -(scores.log_softmax(dim=-1)[sequence, target, source] * links.weights).sum()


def _padded(packed: Tensor, layout: SequenceLayout) -> Tensor:
    """Return `(num_sequences, max_seqlen, head_dim)`, with rows of other sequences after the end of each.

    Unlike `packing.pad` it does not synchronize with the device.
    """
    rows = layout.cu_seqlens[:-1, None] + torch.arange(layout.max_seqlen, device=packed.device)
    return packed[rows.clamp(max=len(packed) - 1)]
