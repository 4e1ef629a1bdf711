"""Token embeddings, position tables and rotary positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from translator.kernels import embed


class TokenEmbedding(nn.Module):
    """Matrix of token vectors, scaled by sqrt(d_model) as input and unscaled as output projection.

    One module may be source embedding, target embedding and output projection at once (Vaswani et al., 2017, section
    3.4). It owns the shared parameter.

    Args:
        vocab_size: number of tokens.
        d_model: width of a vector.
    """

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        self.scale = math.sqrt(d_model)
        nn.init.normal_(self.weight, std=d_model**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors of tokens: `(num_tokens,)` int64 to `(num_tokens, d_model)`."""
        return embed(tokens, self.weight) * self.scale

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits of every token: `(num_tokens, d_model)` to `(num_tokens, vocab_size)`, same dtype."""
        return F.linear(hidden, self.weight)


class PositionTable(nn.Module):
    """Vectors added to token vectors by position: fixed sinusoids or learned.

    Args:
        max_positions: number of positions.
        d_model: width of a vector.
        kind: `interleaved` or `halves` (layout of sinusoids), or `learned`.
    """

    def __init__(self, max_positions: int, d_model: int, kind: str) -> None:
        super().__init__()
        self.table: Tensor
        if kind == "learned":
            self.table = nn.Parameter(torch.empty(max_positions, d_model))
            nn.init.normal_(self.table, std=d_model**-0.5)
        else:
            self.register_buffer("table", sinusoids(max_positions, d_model, kind), persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        """Return the vectors of positions: `(num_tokens,)` int64 to `(num_tokens, d_model)`."""
        return embed(positions, self.table)


def sinusoids(num_positions: int, d_model: int, layout: str) -> Tensor:
    """Return sines and cosines of wavelengths from 2 pi to 10000 * 2 pi (Vaswani et al., 2017, section 3.5).

    Args:
        num_positions: rows of the table.
        d_model: an even width.
        layout: `interleaved` alternates sine and cosine, as in the paper; `halves` has all sines before all cosines.

    Returns:
        `(num_positions, d_model)` float32.
    """
    angles = _angles(num_positions, d_model)  # (num_positions, d_model / 2)
    pair = (angles.sin(), angles.cos())
    table = torch.stack(pair, dim=-1).flatten(1) if layout == "interleaved" else torch.cat(pair, dim=-1)
    return table.float()


class RotaryPositions(nn.Module):
    """Rotation of queries and keys by position, so that scores depend on distance (Su et al., 2021, section 3.2).

    Args:
        head_dim: an even width.
        max_positions: number of positions.
    """

    def __init__(self, head_dim: int, max_positions: int) -> None:
        super().__init__()
        self.table: Tensor
        angles = _angles(max_positions, head_dim)
        self.register_buffer("table", torch.stack((angles.cos(), angles.sin())).float(), persistent=False)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Rotate `x: (num_tokens, heads, head_dim)` by positions `(num_tokens,)` int64, same shape out."""
        cos, sin = self.table[:, positions, None, :].to(x.dtype).unbind(0)  # (num_tokens, 1, head_dim / 2)
        first, second = x.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def _angles(num_positions: int, width: int) -> Tensor:
    """Return positions times frequencies: `(num_positions, width / 2)` float64.

    On the CPU even if the parameters are built on the meta device, because no checkpoint stores the tables.
    """
    frequencies = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width)
    return torch.arange(num_positions, dtype=torch.float64, device="cpu")[:, None] * frequencies
