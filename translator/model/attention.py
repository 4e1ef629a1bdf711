"""Multi-head attention over packed sequences, and the cache through which a decoder attends to what it has produced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from translator.kernels import packed_attention
from translator.model.embedding import RotaryPositions
from translator.packing import Packed

_ROOM = 16  # positions by which a cache grows


class MultiHeadAttention(nn.Module):
    """Attention in several subspaces at once (Vaswani et al., 2017, section 3.2.2).

    Self-attention where `memory` is the input itself, cross-attention where it is another sequence.

    Args:
        d_model: width of the hidden states.
        num_heads: heads; each has `d_model / num_heads` dimensions.
        causal: a query sees no key after its own position.
        dropout: probability that an attention weight is dropped in training.
        max_positions: with a number, queries and keys are rotated by position (RoPE) up to that length.
        scale: factor on the scores; `head_dim ** -0.5` by default.
        backend: see `kernels.packed_attention`.
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
        super().__init__()
        if d_model % num_heads:
            raise ValueError(
                f"d_model must be divisible by num_heads. Received: d_model={d_model}, num_heads={num_heads}."
            )
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.causal = causal
        self.dropout = dropout
        self.scale = scale
        self.backend = backend
        self.query_projection = nn.Linear(d_model, d_model)
        self.key_value_projection = nn.Linear(d_model, 2 * d_model)
        self.output_projection = nn.Linear(d_model, d_model)
        self.rotary = RotaryPositions(self.head_dim, max_positions) if max_positions else None

    def forward(self, x: Tensor, sequences: Packed, memory: Tensor, memory_sequences: Packed) -> Tensor:
        """Attend from `x` to `memory`.

        Args:
            x: `(num_tokens, d_model)`.
            sequences: where the sequences of `x` lie, and the positions of their tokens.
            memory: `(num_memory_tokens, d_model)`; `x` itself in self-attention.
            memory_sequences: where the sequences of `memory` lie.

        Returns:
            `(num_tokens, d_model)`.
        """
        projections = self._projections(x, memory)
        if self.rotary is not None:
            queries, keys, values = (part for projection in projections for part in projection.unbind(1))
            queries = self.rotary(queries, sequences.values)
            keys = self.rotary(keys, memory_sequences.values)
            projections = [queries.unsqueeze(1), keys.unsqueeze(1), values.unsqueeze(1)]
        is_dropping = self.training and self.dropout > 0
        attended = packed_attention(
            projections,
            sequences.cu_seqlens,
            memory_sequences.cu_seqlens,
            sequences.max_seqlen,
            memory_sequences.max_seqlen,
            causal=self.causal,
            scale=self.scale,
            dropout_p=self.dropout if is_dropping else 0.0,
            seed=torch.randint(2**62, (1,), device=x.device) if is_dropping else None,
            backend=self.backend,
        )
        out: Tensor = self.output_projection(attended.flatten(1))
        return out

    def _projections(self, x: Tensor, memory: Tensor) -> list[Tensor]:
        """Queries, keys and values, `(num_tokens, m, heads, head_dim)`; those of self-attention in one product."""
        if memory is not x:
            projected = [self.query_projection(x), self.key_value_projection(memory)]
        else:
            layers = (self.query_projection, self.key_value_projection)
            weight, bias = torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
            projected = [F.linear(x, weight, bias)]
        return [y.view(y.shape[0], -1, self.num_heads, self.head_dim) for y in projected]

    def keys_and_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Projected keys and values of `(num_tokens, d_model)`: two of `(num_tokens, heads, head_dim)`, not rotated."""
        keys, values = self.key_value_projection(memory).chunk(2, dim=-1)
        return self._heads(keys), self._heads(values)

    def step_self(self, x: Tensor, cache: Cache, position: int | Tensor) -> Tensor:
        """One more token of each row, which attends to the cache and to itself: `(rows, d_model)` to the same.

        The position is a number, `(rows,)` int64 where the rows' differ, or `(1,)` on the device where a CUDA graph
        must read it anew at every step.
        """
        queries = self._heads(self.query_projection(x))
        keys, values = self.keys_and_values(x)
        if self.rotary is not None:
            positions = positions_of(position, x)
            queries, keys = self.rotary(queries, positions), self.rotary(keys, positions)
        return self._projected(cache.attend(queries, keys, values, self._scale()))

    def step_cross(self, x: Tensor, memory: Memory) -> Tensor:
        """One more token of each row, which attends to the memory of its sentence: `(rows, d_model)` to the same."""
        return self._projected(memory.attend(self._heads(self.query_projection(x)), self._scale()))

    def _projected(self, attended: Tensor) -> Tensor:
        out: Tensor = self.output_projection(attended.flatten(1))
        return out

    def _scale(self) -> float:
        return self.head_dim**-0.5 if self.scale is None else self.scale

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.num_heads, self.head_dim)


def positions_of(position: int | Tensor, rows: Tensor) -> Tensor:
    """The position of each of `rows: (n, ...)`, `(n,)` int64, given as one number or `(1,)` for all, or for each."""
    if isinstance(position, Tensor):
        return position.expand(rows.shape[0])
    return torch.full(rows.shape[:1], position, device=rows.device)


class Cache(Protocol):
    """What a layer of the decoder remembers of the tokens that each row has produced."""

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """Add one token a row, and attend to all so far: thrice `(rows, heads, head_dim)` to the same."""


class Memory(Protocol):
    """What a layer of the decoder holds of the encoder's output."""

    def attend(self, queries: Tensor, scale: float) -> Tensor:
        """Attend from each row to its sentence: `(rows, heads, head_dim)` to the same.

        The rows of one sentence stand together and are as many for each, so they share one product with its keys.
        """


def _attend(queries: Tensor, keys: Tensor, values: Tensor, scale: float, bias: Tensor) -> Tensor:
    """Plain attention, `(n, heads, queries, head_dim)` over `(n, heads, keys, head_dim)`, to the former shape.

    The bias is added to the scores; minus infinity hides a key.
    """
    scores = torch.bmm((queries * scale).flatten(0, 1), keys.flatten(0, 1).transpose(1, 2)).float()
    scores.view(*queries.shape[:3], -1).add_(bias)
    weights = torch.softmax(scores, dim=-1).to(values.dtype)  # (n * heads, queries, keys)
    return torch.bmm(weights, values.flatten(0, 1)).view(queries.shape)


class KeyValueCache:
    """Keys and values of the tokens that each row has produced so far, for one layer.

    Room is made for several positions at once, so that a step writes one position instead of copying all. Attention
    runs over the whole room, its empty part hidden: torch multiplies rounder and larger matrices faster.
    """

    def __init__(self) -> None:
        self.length = 0
        self._keys: Tensor | None = None  # (rows, heads, room, head_dim)
        self._values: Tensor | None = None
        self._bias = torch.empty(0)  # (room,)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """See `Cache`."""
        self.append(keys, values)
        assert self._keys is not None and self._values is not None
        return _attend(queries[:, :, None], self._keys, self._values, scale, self._bias).squeeze(2)

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add one token a row, `(rows, heads, head_dim)`; gives all so far, `(rows, heads, length, head_dim)`."""
        if self._keys is None or self._values is None or self.length == self._keys.shape[2]:
            self._keys, self._values = self._grown(self._keys, keys), self._grown(self._values, values)
            self._bias = torch.full((self._keys.shape[2],), -torch.inf, device=keys.device)
            self._bias[: self.length] = 0
        self._keys[:, :, self.length] = keys
        self._values[:, :, self.length] = values
        self._bias[self.length].fill_(0)  # an assignment would wait for a CUDA device
        self.length += 1
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

    def reorder(self, rows: Tensor) -> None:
        """Make row i what row `rows[i]` was."""
        if self._keys is not None and self._values is not None:
            # index_select copies whole rows; indexing by brackets takes four times as long
            self._keys, self._values = self._keys.index_select(0, rows), self._values.index_select(0, rows)

    def _grown(self, old: Tensor | None, like: Tensor) -> Tensor:
        rows, heads, head_dim = like.shape
        new = like.new_zeros(rows, heads, self.length + _ROOM, head_dim)
        if old is not None:
            new[:, :, : self.length] = old
        return new


@dataclass(frozen=True)
class CrossMemory:
    """Keys and values of the encoder's output for one layer of the decoder, padded.

    Attributes:
        keys: `(num_sentences, heads, longest, head_dim)`.
        values: the same shape.
        bias: `(num_sentences, 1, 1, longest)` float32, minus infinity on padding and zero elsewhere.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor

    def attend(self, queries: Tensor, scale: float) -> Tensor:
        """See `Memory`."""
        num_sentences = self.keys.shape[0]
        grouped = queries.view(num_sentences, -1, *queries.shape[1:]).transpose(1, 2)
        return _attend(grouped, self.keys, self.values, scale, self.bias).transpose(1, 2).reshape(queries.shape)

    def select(self, sentences: Tensor) -> CrossMemory:
        """The memory of these sentences: `(n,)` int64."""
        return CrossMemory(*(x.index_select(0, sentences) for x in (self.keys, self.values, self.bias)))
