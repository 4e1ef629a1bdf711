"""Dropout whose masks are functions of the example, so that they do not depend on how a step is split into batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from translator.kernels import keyed_dropout
from translator.packing import SequenceLayout

# Odd constants without a simple relation, so that keys of different positions and sites are different.
_POSITION_STEP = 0x2545F4914F6CDD1D
_SITE_STEP = 0x5851F42D4C957F2D


@dataclass(frozen=True)
class DropoutKeys:
    """Keys of the random draws of dropout on one side of a batch.

    A site is a place in the model at which dropout is applied. Every site has a number of its own.

    Attributes:
        sequences: `(num_sequences,)` int64, seed of each example.
        tokens: `(num_tokens,)` int64, key of each token: a function of the seed of its example and its position.
        first_site: number that `tokens_at` and `sequences_at` add to that of a site.
    """

    sequences: Tensor
    tokens: Tensor
    first_site: int = 0

    @classmethod
    def of(cls, seeds: Tensor, layout: SequenceLayout) -> DropoutKeys:
        """Return the keys of packed sequences.

        Args:
            seeds: `(num_sequences,)` int64, one per example.
            layout: layout of the sequences.

        Raises:
            ValueError: if there is not one seed per sequence.
        """
        if seeds.shape != (layout.cu_seqlens.shape[0] - 1,) or seeds.dtype != torch.int64:
            raise ValueError(
                f"seeds must be ({layout.cu_seqlens.shape[0] - 1},) int64, one per sequence. "
                f"Received: {tuple(seeds.shape)} {str(seeds.dtype).removeprefix('torch.')}."
            )
        rows = torch.arange(layout.positions.shape[0], device=seeds.device)
        sequence = torch.searchsorted(layout.cu_seqlens[1:], rows, right=True)  # num_sequences for trailing padding
        return cls(seeds, seeds[sequence.clamp(max=len(seeds) - 1)] + layout.positions * _POSITION_STEP)

    def at(self, site: int) -> DropoutKeys:
        """Return keys whose sites are counted from `site` on."""
        return replace(self, first_site=self.first_site + site)

    def tokens_at(self, site: int) -> Tensor:
        """Return the key of each token at a site: `(num_tokens,)` int64."""
        return self.tokens + _offset(self.first_site + site)

    def sequences_at(self, site: int) -> Tensor:
        """Return the key of each sequence at a site: `(num_sequences,)` int64."""
        return self.sequences + _offset(self.first_site + site)


def _offset(site: int) -> int:
    """Return the offset of the keys of a site as an int64 number."""
    offset = site * _SITE_STEP % (1 << 64)
    return offset - (1 << 64) if offset >> 63 else offset


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al., 2014) with keyed masks.

    Args:
        p: probability that an element is dropped.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor, keys: DropoutKeys | None = None, site: int = 0) -> Tensor:
        """In training, zero each element of `x` with probability p and scale the rest by 1 / (1 - p).

        Args:
            x: `(num_tokens, columns)`.
            keys: keys of the tokens; required in training.
            site: number of the site.

        Raises:
            ValueError: if `keys` are required and missing.
        """
        drawn = self.keys_at(site, keys)
        return x if drawn is None else keyed_dropout(x, drawn, self.p)

    def added_to(self, residual: Tensor, x: Tensor, keys: DropoutKeys | None = None, site: int = 0) -> Tensor:
        """Return `residual` plus `x` after dropout, in one pass; arguments as in `forward`."""
        drawn = self.keys_at(site, keys)
        return residual + x if drawn is None else keyed_dropout(x, drawn, self.p, residual)

    def keys_at(self, site: int, keys: DropoutKeys | None) -> Tensor | None:
        """Return the key of each token, `(num_tokens,)` int64; None if nothing is dropped. See `forward`."""
        if not self.training or not self.p:
            return None
        if keys is None:
            raise ValueError("Dropout in training requires the seeds of the examples. Pass seeds to forward or loss.")
        return keys.tokens_at(site)
