"""Keys and values in decoding: those of the tokens produced so far, and those of the encoder's output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from translator.packing import Packed, pad

# Positions added when a cache is full; half as many for wide heads. torch multiplies batches of matrices below 400
# multiplications each in a plain loop.
_CACHE_GROWTH = 16
_WIDE_HEAD = 64


class Cache(Protocol):
    """Keys and values of the tokens that each row has produced, for one layer of a decoder."""

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """Add one token per row and attend to all so far: three `(rows, heads, head_dim)`, same shape out."""


class Memory(Protocol):
    """Keys and values of the encoder's output, for one layer of a decoder."""

    def attend(self, queries: Tensor, scale: float) -> Tensor:
        """Attend from each row to its sentence: `(rows, heads, head_dim)`, same shape out.

        Rows of one sentence are adjacent and equally many for each sentence, so that they share one product with its
        keys.
        """


def _attend(queries: Tensor, keys: Tensor, values: Tensor, scale: float, bias: Tensor) -> Tensor:
    """Return the attention of `(n, queries, head_dim)` to `(n, keys, head_dim)`, in the former shape.

    Args:
        queries: see above.
        keys: see above.
        values: shape of the keys.
        scale: factor on the scores.
        bias: added to the scores, broadcast to `(n, queries, keys)`; minus infinity masks a key. Dtype of the queries.
    """
    scores = torch.baddbmm(bias, queries, keys.transpose(1, 2), alpha=scale)
    if scores.dtype in (torch.bfloat16, torch.float16):
        return torch.bmm(torch.softmax(scores, dim=-1, dtype=torch.float32).to(values.dtype), values)
    return torch.bmm(torch.softmax(scores, dim=-1), values)


class KeyValueCache:
    """Keys and values of the tokens that each row has produced so far, for one layer.

    Capacity grows by several positions at once, so that most steps write one position instead of copying all.
    Attention runs over the whole capacity with its empty part masked. torch multiplies batches of small matrices fast
    only if they are contiguous, of few even shapes, and not too small.
    """

    def __init__(self) -> None:
        self.length = 0
        self._capacity = 0
        self._stored: Tensor | None = None  # (2, rows, heads, capacity, head_dim), keys before values
        self._spare: Tensor | None = None  # memory of the same size at least, which the next reordering fills

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """See `Cache`."""
        stored = self._write(keys, values).flatten(1, 2)  # (2, rows * heads, capacity, head_dim)
        bias = _empty_part_bias(self.length, self._capacity, queries.dtype, queries.device)
        return _attend(queries.flatten(0, 1)[:, None], stored[0], stored[1], scale, bias).view(queries.shape)

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add one token per row, `(rows, heads, head_dim)`; return all so far, `(rows, heads, length, head_dim)`."""
        keys, values = self._write(keys, values)[:, :, :, : self.length]
        return keys, values

    def _write(self, keys: Tensor, values: Tensor) -> Tensor:
        """Add one token per row; return the whole capacity, `(2, rows, heads, capacity, head_dim)`."""
        if self._stored is None or self.length == self._capacity:
            self._stored = self._grown(keys)
        place = self._stored.select(3, self.length)
        place[0].copy_(keys)
        place[1].copy_(values)
        self.length += 1
        return self._stored

    def reorder(self, rows: Tensor) -> None:
        """Replace row i by row `rows[i]`."""
        if self._stored is None:
            return
        shape = (2, len(rows), *self._stored.shape[2:])
        if self._spare is None or self._spare.numel() < math.prod(shape) or rows.device.type != "cpu":
            self._spare = self._stored.new_empty(shape)
        # index_select copies whole rows; indexing with brackets takes four times as long
        spare = self._spare.flatten()[: math.prod(shape)].view(shape)
        self._stored, self._spare = torch.index_select(self._stored, 1, rows, out=spare), self._stored

    def _grown(self, like: Tensor) -> Tensor:
        rows, heads, head_dim = like.shape
        self._capacity = self.length + (_CACHE_GROWTH if head_dim < _WIDE_HEAD else _CACHE_GROWTH // 2)
        new = like.new_zeros(2, rows, heads, self._capacity, head_dim)
        if self._stored is not None:
            new[:, :, :, : self.length] = self._stored
        return new


@lru_cache(maxsize=1024)
def _empty_part_bias(length: int, capacity: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros for the filled positions of a cache and minus infinity for the others, `(capacity,)`."""
    with torch.inference_mode(False):  # other calls may record gradients
        bias = torch.zeros(capacity, dtype=dtype, device=device)
        bias[length:] = -torch.inf
        return bias


@dataclass(frozen=True)
class CrossMemory:
    """Keys and values of the encoder's output for one layer of the decoder, padded.

    Attributes:
        keys: `(num_sentences, heads, longest, head_dim)`.
        values: the same shape.
        bias: `(num_sentences, heads, 1, longest)`, minus infinity on padding and zero elsewhere; dtype of the keys.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor

    def attend(self, queries: Tensor, scale: float) -> Tensor:
        """See `Memory`."""
        num_sentences, heads, _, head_dim = self.keys.shape
        grouped = queries.view(num_sentences, -1, heads, head_dim).transpose(1, 2)
        keys, values = self.keys.flatten(0, 1), self.values.flatten(0, 1)
        attended = _attend(grouped.flatten(0, 1), keys, values, scale, self.bias.flatten(0, 1))
        return attended.view(num_sentences, heads, -1, head_dim).transpose(1, 2).reshape(queries.shape)

    @classmethod
    def of(cls, keys: Packed, values: Packed) -> CrossMemory:
        """Return the memory of packed sentences, `(num_tokens, heads, head_dim)` both."""
        padded_keys, padded_values = (pad(x).transpose(1, 2).contiguous() for x in (keys, values))
        heads, longest = padded_keys.shape[1:3]
        is_padding = torch.arange(longest, device=padded_keys.device) >= keys.lengths[:, None]
        bias = padded_keys.new_zeros(is_padding.shape).masked_fill_(is_padding, -torch.inf)
        return cls(padded_keys, padded_values, bias[:, None, None].repeat(1, heads, 1, 1))

    def select(self, sentences: Tensor) -> CrossMemory:
        """Return the memory of some sentences, given by number: `(n,)` int64."""
        return CrossMemory(*(x.index_select(0, sentences) for x in (self.keys, self.values, self.bias)))
