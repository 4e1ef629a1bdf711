"""Multi-head self- and cross-attention over packed sequences, and the key-value caches of decoding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor, nn

from translator.kernels import packed_attention
from translator.model.embedding import RotaryPositions
from translator.model.guided_alignment import AlignmentGuide
from translator.packing import Packed, SequenceLayout, pad

# Positions added when a cache is full; half as many for wide heads. torch multiplies batches of matrices below 400
# multiplications each in a plain loop.
_CACHE_GROWTH = 16
_WIDE_HEAD = 64


class MultiHeadAttention(nn.Module):
    """Base of `SelfAttention` and `CrossAttention` (Vaswani et al., 2017, section 3.2.2).

    A subclass creates its input projections first and `output_projection` last: fresh weights are drawn, and stored, in
    the order of creation.

    Args:
        d_model: width of the hidden states.
        num_heads: number of heads; each has `d_model / num_heads` dimensions.
        causal: mask keys after the query's own position.
        dropout: probability that an attention weight is dropped in training.
        scale: factor on the scores; `head_dim ** -0.5` by default.
        backend: see `kernels.packed_attention`.

    Raises:
        ValueError: if `d_model` is not divisible by `num_heads`.
    """

    output_projection: nn.Linear

    def __init__(
        self, d_model: int, num_heads: int, *, causal: bool, dropout: float, scale: float | None, backend: str
    ) -> None:
        super().__init__()
        if d_model % num_heads:
            raise ValueError(
                f"d_model must be divisible by num_heads. Received: d_model={d_model}, num_heads={num_heads}."
            )
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.causal = causal
        self.dropout = dropout
        self.scale = self.head_dim**-0.5 if scale is None else scale
        self.backend = backend

    def attend(
        self, projections: Sequence[Tensor], layout: SequenceLayout, memory_layout: SequenceLayout, seeds: Tensor | None
    ) -> Tensor:
        """Return the attention output of projected queries, keys and values, itself projected.

        Args:
            projections: as `kernels.packed_attention` takes them.
            layout: layout of the queries.
            memory_layout: layout of the keys and values.
            seeds: `(num_sequences,)` int64, seeds of dropout; required in training with dropout.

        Returns:
            `(num_tokens, d_model)`.
        """
        is_dropping = self.training and self.dropout > 0
        attended = packed_attention(
            projections,
            layout.cu_seqlens,
            memory_layout.cu_seqlens,
            layout.max_seqlen,
            memory_layout.max_seqlen,
            causal=self.causal,
            scale=self.scale,
            dropout_p=self.dropout if is_dropping else 0.0,
            seeds=seeds if is_dropping else None,
            backend=self.backend,
        )
        return self._merge_heads(attended)

    def _merge_heads(self, attended: Tensor) -> Tensor:
        return self.output_projection.forward(attended.flatten(1))

    def _split_heads(self, x: Tensor) -> Tensor:
        """`(num_tokens, m * d_model)` to `(num_tokens, m, heads, head_dim)`."""
        return x.view(x.shape[0], -1, self.num_heads, self.head_dim)


class QueryKeyValueProjection(nn.Linear):
    """One linear layer for queries, keys and values: rows of `weight` in this order, `d_model` each."""

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model, 3 * d_model)

    def initialized_parts(self) -> tuple[Tensor, Tensor]:
        """Views of the weight that are initialized separately: queries; keys with values.

        The bound of Glorot's initialization depends on the number of rows. These are the matrices that
        `CrossAttention` has, so both kinds of attention start from the same distribution.
        """
        return self.weight[: self.in_features], self.weight[self.in_features :]


class SelfAttention(MultiHeadAttention):
    """Attention of each sequence to itself.

    Args:
        d_model: see `MultiHeadAttention`.
        num_heads: see `MultiHeadAttention`.
        causal: see `MultiHeadAttention`.
        dropout: see `MultiHeadAttention`.
        max_positions: with rotary positions, the number of positions; None without.
        scale: see `MultiHeadAttention`.
        backend: see `MultiHeadAttention`.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        causal: bool = False,
        dropout: float = 0.0,
        max_positions: int | None = None,
        scale: float | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__(d_model, num_heads, causal=causal, dropout=dropout, scale=scale, backend=backend)
        self.query_key_value_projection = QueryKeyValueProjection(d_model)
        self.output_projection = nn.Linear(d_model, d_model)
        self.rotary = RotaryPositions(self.head_dim, max_positions) if max_positions else None

    def forward(self, x: Tensor, layout: SequenceLayout, *, seeds: Tensor | None = None) -> Tensor:
        """Attend within each sequence.

        Args:
            x: `(num_tokens, d_model)`.
            layout: layout of the sequences in `x`.
            seeds: see `attend`.

        Returns:
            `(num_tokens, d_model)`.
        """
        return self.attend(self.project(x, layout.positions), layout, layout, seeds)

    def project(self, x: Tensor, positions: Tensor | None) -> list[Tensor]:
        """Queries, keys and values as `kernels.packed_attention` takes them, rotated with rotary positions.

        Args:
            x: `(num_tokens, d_model)`.
            positions: `(num_tokens,)` int64; read with rotary positions only.
        """
        joint = self._split_heads(self.query_key_value_projection(x))  # (num_tokens, 3, heads, head_dim)
        if self.rotary is None:
            return [joint]
        assert positions is not None
        rotated = self.rotary(joint[:, :2].flatten(1, 2), positions)  # (num_tokens, 2 * heads, head_dim)
        return [rotated.view(joint[:, :2].shape), joint[:, 2:]]

    def queries_keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of `forward` with these arguments: three of `(num_tokens, heads, head_dim)`."""
        return _separated(self.project(x, layout.positions))

    def step(self, x: Tensor, cache: Cache, position: int | Tensor) -> Tensor:
        """Attend from one more token of each row to the cache and to the token itself.

        Args:
            x: `(rows, d_model)`.
            cache: earlier tokens of the rows; the new ones are added.
            position: a number; `(rows,)` int64 if positions differ between rows; or `(1,)` int64 on the device, which
                a CUDA graph reads anew at every step.

        Returns:
            `(rows, d_model)`.
        """
        positions = None if self.rotary is None else positions_of(position, x)
        if self.rotary is None:
            joint = self.query_key_value_projection.forward(x)
            queries, keys, values = joint.view(len(x), 3, self.num_heads, self.head_dim).unbind(1)
        else:
            queries, keys, values = _separated(self.project(x, positions))
        return self._merge_heads(cache.attend(queries, keys, values, self.scale))


class CrossAttention(MultiHeadAttention):
    """Attention of each sequence to the sequence of a memory with the same number.

    Arguments are those of `MultiHeadAttention`.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        dropout: float = 0.0,
        scale: float | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__(d_model, num_heads, causal=False, dropout=dropout, scale=scale, backend=backend)
        self.query_projection = nn.Linear(d_model, d_model)
        self.key_value_projection = nn.Linear(d_model, 2 * d_model)
        self.output_projection = nn.Linear(d_model, d_model)

    def forward(
        self,
        x: Tensor,
        layout: SequenceLayout,
        memory: Tensor,
        memory_layout: SequenceLayout,
        *,
        seeds: Tensor | None = None,
        guide: AlignmentGuide | None = None,
    ) -> Tensor:
        """Attend from each sequence to its memory.

        Args:
            x: `(num_tokens, d_model)`.
            layout: layout of the sequences in `x`.
            memory: `(num_memory_tokens, d_model)`.
            memory_layout: layout of the sequences in `memory`.
            seeds: see `attend`.
            guide: observer of a head that learns alignments.

        Returns:
            `(num_tokens, d_model)`.
        """
        projections = self.project(x, memory)
        if guide is not None:
            guide.observe(projections, layout, memory_layout, self.scale)
        return self.attend(projections, layout, memory_layout, seeds)

    def project(self, x: Tensor, memory: Tensor) -> list[Tensor]:
        """Queries of `x`, keys and values of `memory`, as `kernels.packed_attention` takes them."""
        return [self._split_heads(self.query_projection(x)), self._split_heads(self.key_value_projection(memory))]

    def keys_and_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Project `(num_tokens, d_model)` to keys and values, two of `(num_tokens, heads, head_dim)`."""
        keys, values = self._split_heads(self.key_value_projection(memory)).unbind(1)
        return keys, values

    def queries_keys_values(
        self, x: Tensor, layout: SequenceLayout, memory: Tensor, memory_layout: SequenceLayout
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of `forward` with these arguments: three of `(num_tokens, heads, head_dim)`."""
        return _separated(self.project(x, memory))

    def step(self, x: Tensor, memory: Memory) -> Tensor:
        """Attend from one more token of each row to the memory of its sentence: `(rows, d_model)`, same shape out."""
        queries = self.query_projection.forward(x).view(len(x), self.num_heads, self.head_dim)
        return self._merge_heads(memory.attend(queries, self.scale))


def _separated(projections: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    queries, keys, values = (part for projection in projections for part in projection.unbind(1))
    return queries, keys, values


def positions_of(position: int | Tensor, rows: Tensor) -> Tensor:
    """Position of each of `rows: (n, ...)`, `(n,)` int64, from a number or `(1,)` for all, or `(n,)`."""
    if isinstance(position, Tensor):
        return position.expand(rows.shape[0])
    return torch.full(rows.shape[:1], position, device=rows.device)


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
