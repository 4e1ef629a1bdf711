"""The layer that every architecture here is made of, and stacks of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from translator.kernels import dropout_mask
from translator.model.attention import Cache, Memory, MultiHeadAttention
from translator.packing import Packed

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "swiglu": F.silu}


@dataclass(frozen=True)
class LayerOptions:
    """What all layers of a model share; the fields mean what they mean in `config.ModelConfig`.

    `rotary_positions` is the number of positions with rotary positions, otherwise None.
    """

    d_model: int
    d_ff: int
    norm: str = "pre"
    activation: str = "relu"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    rotary_positions: int | None = None
    attention: str = "auto"


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al., 2014), on the CPU with a mask that is cheap to draw."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """`x` with each element dropped with probability p in training and the rest scaled by 1 / (1 - p)."""
        if not self.training or self.p == 0:
            return x
        return x * dropout_mask(x, self.p) if _is_masked_by_hand(x) else F.dropout(x, self.p)

    def added_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """`residual` plus `x` under dropout, in one pass where the mask is drawn by hand."""
        if self.training and self.p and _is_masked_by_hand(x):
            return torch.addcmul(residual, x, dropout_mask(x, self.p))
        dropped: Tensor = self(x)
        return residual + dropped


def _is_masked_by_hand(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


class FeedForward(nn.Module):
    """Two linear layers with an activation between, the same for each token (Vaswani et al., 2017, section 3.3).

    With `swiglu` the activation is gated by a third (Shazeer, 2020).
    """

    def __init__(self, d_model: int, d_ff: int, activation: str = "relu", dropout: float = 0.0) -> None:
        super().__init__()
        self.is_gated = activation == "swiglu"
        self.activation = _ACTIVATIONS[activation]
        self.inner_projection = nn.Linear(d_model, 2 * d_ff if self.is_gated else d_ff)
        self.output_projection = nn.Linear(d_ff, d_model)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`(num_tokens, d_model)` to `(num_tokens, d_model)`."""
        inner: Tensor = self.inner_projection(x)  # (num_tokens, d_ff), twice that when gated
        if self.is_gated:
            gate, inner = inner.chunk(2, dim=-1)
            inner = self.activation(gate) * inner
        else:
            inner = self.activation(inner)
        out: Tensor = self.output_projection(self.dropout(inner))
        return out


class TransformerLayer(nn.Module):
    """Self-attention, optional cross-attention and a feed-forward network, each with a residual connection and a norm.

    Args:
        options: what all layers share.
        num_heads: attention heads of this layer.
        causal: self-attention sees no later token.
        cross_attention: attend to a memory after self-attention.
    """

    def __init__(self, options: LayerOptions, num_heads: int, *, causal: bool, cross_attention: bool) -> None:
        super().__init__()
        d_model = options.d_model
        self.is_pre_norm = options.norm == "pre"
        self.self_attention = MultiHeadAttention(
            d_model,
            num_heads,
            causal=causal,
            dropout=options.attention_dropout,
            max_positions=options.rotary_positions,
            backend=options.attention,
        )
        self.self_attention_norm = nn.LayerNorm(d_model)
        self.cross_attention: MultiHeadAttention | None = None
        if cross_attention:
            self.cross_attention = MultiHeadAttention(
                d_model, num_heads, dropout=options.attention_dropout, backend=options.attention
            )
            self.cross_attention_norm = nn.LayerNorm(d_model)
        self.feed_forward = FeedForward(d_model, options.d_ff, options.activation, options.activation_dropout)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.dropout = Dropout(options.dropout)

    def forward(
        self, x: Tensor, sequences: Packed, memory: Tensor | None = None, memory_sequences: Packed | None = None
    ) -> Tensor:
        """One layer over packed sequences.

        Args:
            x: `(num_tokens, d_model)`.
            sequences: offsets of the sequences in `x`; its values are the tokens' positions.
            memory: `(num_memory_tokens, d_model)`, for layers with cross-attention.
            memory_sequences: likewise for the memory.

        Returns:
            `(num_tokens, d_model)`.
        """
        attention_input = self._before(x, self.self_attention_norm)
        attended = self.self_attention(attention_input, sequences, attention_input, sequences)
        x = self._after(x, attended, self.self_attention_norm)
        if self.cross_attention is not None:
            assert memory is not None and memory_sequences is not None
            attention_input = self._before(x, self.cross_attention_norm)
            attended = self.cross_attention(attention_input, sequences, memory, memory_sequences)
            x = self._after(x, attended, self.cross_attention_norm)
        transformed = self.feed_forward(self._before(x, self.feed_forward_norm))
        return self._after(x, transformed, self.feed_forward_norm)

    def step(self, x: Tensor, cache: Cache, position: int | Tensor, memory: Memory | None) -> Tensor:
        """One layer for one more token of each row: `(rows, d_model)` to the same; adds the token to the cache."""
        attended = self.self_attention.step_self(self._before(x, self.self_attention_norm), cache, position)
        x = self._after(x, attended, self.self_attention_norm)
        if self.cross_attention is not None:
            assert memory is not None
            attended = self.cross_attention.step_cross(self._before(x, self.cross_attention_norm), memory)
            x = self._after(x, attended, self.cross_attention_norm)
        transformed = self.feed_forward(self._before(x, self.feed_forward_norm))
        return self._after(x, transformed, self.feed_forward_norm)

    def self_keys_and_values(self, x: Tensor, sequences: Packed) -> tuple[Tensor, Tensor]:
        """What later tokens attend to: `(num_tokens, d_model)` to two of `(num_tokens, heads, head_dim)`, rotated."""
        attention = self.self_attention
        keys, values = attention.keys_and_values(self._before(x, self.self_attention_norm))
        return (keys if attention.rotary is None else attention.rotary(keys, sequences.values)), values

    def _before(self, x: Tensor, norm: nn.Module) -> Tensor:
        normed: Tensor = norm(x) if self.is_pre_norm else x
        return normed

    def _after(self, x: Tensor, transformed: Tensor, norm: nn.Module) -> Tensor:
        x = self.dropout.added_to(x, transformed)
        return x if self.is_pre_norm else norm(x)


class TransformerStack(nn.Module):
    """Layers one after the other, with a norm at the end where the configuration asks for one.

    Args:
        options: what all layers share.
        heads: attention heads of each layer; as many layers as numbers.
        causal: see `TransformerLayer`.
        cross_attention: see `TransformerLayer`.
        final_norm: whether a layer norm follows the last layer.
    """

    def __init__(
        self, options: LayerOptions, heads: Sequence[int], *, causal: bool, cross_attention: bool, final_norm: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TransformerLayer(options, num_heads, causal=causal, cross_attention=cross_attention) for num_heads in heads
        )
        self.final_norm = nn.LayerNorm(options.d_model) if final_norm else nn.Identity()

    def forward(
        self, x: Tensor, sequences: Packed, memory: Tensor | None = None, memory_sequences: Packed | None = None
    ) -> Tensor:
        """Arguments and result as in `TransformerLayer.forward`."""
        for layer in self.layers:
            x = layer(x, sequences, memory, memory_sequences)
        out: Tensor = self.final_norm(x)
        return out

    def step(
        self, x: Tensor, caches: Sequence[Cache], position: int | Tensor, memories: Sequence[Memory | None]
    ) -> Tensor:
        """One more token of each row through every layer: `(rows, d_model)` to the same."""
        for layer, cache, memory in zip(self.layers, caches, memories, strict=True):
            assert isinstance(layer, TransformerLayer)
            x = layer.step(x, cache, position, memory)
        out: Tensor = self.final_norm(x)
        return out
