"""Multi-head self- and cross-attention over packed sequences (Vaswani et al., 2017, section 3.2.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from translator.kernels import packed_attention
from translator.model.caches import Cache, Memory
from translator.model.embedding import RotaryPositions
from translator.model.guided_alignment import AlignmentGuide
from translator.packing import SequenceLayout


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
