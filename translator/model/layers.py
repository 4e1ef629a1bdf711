"""Transformer layers, their sublayers, and stacks of layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from translator.kernels import relu_linear
from translator.model.attention import CrossAttention, MultiHeadAttention, SelfAttention
from translator.model.caches import Cache, Memory
from translator.model.dropout import Dropout, DropoutKeys
from translator.model.guided_alignment import AlignmentGuide
from translator.packing import SequenceLayout

# Sites of dropout in a layer: attention weights, results of the sublayers, and inside the feed-forward network.
_SELF_WEIGHTS, _CROSS_WEIGHTS, _SELF_RESULT, _CROSS_RESULT, _INNER, _FEED_FORWARD_RESULT = range(6)
SITES_PER_LAYER = 8

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "swish": F.silu,
    "swiglu": F.silu,
}


@dataclass(frozen=True)
class LayerOptions:
    """Options shared by all layers of a model; fields have the meaning they have in `config.ModelConfig`.

    `rotary_positions` is the number of positions if positions are rotary, otherwise None.
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


class FeedForward(nn.Module):
    """Position-wise feed-forward network of two linear layers (Vaswani et al., 2017, section 3.3).

    Args:
        d_model: width of the hidden states.
        d_ff: width between the two layers.
        activation: `relu`, `gelu`, `swish` (Ramachandran et al., 2017), or `swiglu`, which adds a gate (Shazeer, 2020).
        dropout: probability of dropout after the activation.

    Attributes:
        site: number of the site of that dropout in its layer.
    """

    site = _INNER

    def __init__(self, d_model: int, d_ff: int, activation: str = "relu", dropout: float = 0.0) -> None:
        super().__init__()
        self.is_gated = activation == "swiglu"
        self.activation = _ACTIVATIONS[activation]
        self.inner_projection = nn.Linear(d_model, 2 * d_ff if self.is_gated else d_ff)
        self.output_projection = nn.Linear(d_ff, d_model)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, keys: DropoutKeys | None = None) -> Tensor:
        """Transform `(num_tokens, d_model)`, same shape out; `keys` as in `Dropout.forward`."""
        out: Tensor = self.output_projection(self._inner(x, keys))
        return out

    def _inner(self, x: Tensor, keys: DropoutKeys | None) -> Tensor:
        """Return the input of the second layer, `(num_tokens, d_ff)`."""
        projection = self.inner_projection
        if self.activation is F.relu and isinstance(projection, nn.Linear):
            keys_of_tokens = self.dropout.keys_at(self.site, keys)
            return relu_linear(x, projection.weight, projection.bias, keys_of_tokens, self.dropout.p)
        inner: Tensor = projection(x)
        if self.is_gated:
            gate, inner = inner.chunk(2, dim=-1)
            inner = self.activation(gate) * inner
        else:
            inner = self.activation(inner)
        inner = self.dropout(inner, keys, self.site)
        return inner


class TransformerLayer(nn.Module):
    """Self-attention, optional cross-attention and a feed-forward network, each with a residual connection and a norm.

    Args:
        options: options shared by all layers.
        num_heads: attention heads of this layer.
        causal: mask later tokens in self-attention.
        cross_attention: attend to a memory after self-attention.
    """

    def __init__(self, options: LayerOptions, num_heads: int, *, causal: bool, cross_attention: bool) -> None:
        super().__init__()
        d_model = options.d_model
        self.is_pre_norm = options.norm == "pre"
        self.self_attention = SelfAttention(
            d_model,
            num_heads,
            causal=causal,
            dropout=options.attention_dropout,
            max_positions=options.rotary_positions,
            backend=options.attention,
        )
        self.self_attention_norm = nn.LayerNorm(d_model)
        self.cross_attention: CrossAttention | None = None
        if cross_attention:
            self.cross_attention = CrossAttention(
                d_model, num_heads, dropout=options.attention_dropout, backend=options.attention
            )
            self.cross_attention_norm = nn.LayerNorm(d_model)
        self.feed_forward = FeedForward(d_model, options.d_ff, options.activation, options.activation_dropout)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.dropout = Dropout(options.dropout)
        self._product_dtype: torch.dtype | None = None

    @property
    def product_dtype(self) -> torch.dtype:
        """Data type that linear layers take: bfloat16 in bfloat16 training, in which `x` and the norms are float32.

        It is that of their weights, unless it is set because weights are stored in another type than they compute in.
        """
        if self._product_dtype is not None:
            return self._product_dtype
        projection = self.feed_forward.inner_projection
        dtype: torch.dtype = projection.weight.dtype if isinstance(projection, nn.Linear) else projection.dtype
        return dtype

    @product_dtype.setter
    def product_dtype(self, dtype: torch.dtype) -> None:
        self._product_dtype = dtype

    def forward(
        self,
        x: Tensor,
        layout: SequenceLayout,
        memory: Tensor | None = None,
        memory_layout: SequenceLayout | None = None,
        keys: DropoutKeys | None = None,
        guide: AlignmentGuide | None = None,
    ) -> Tensor:
        """Apply the layer to packed sequences.

        Args:
            x: `(num_tokens, d_model)`.
            layout: layout of the sequences in `x`.
            memory: `(num_memory_tokens, d_model)`, for layers with cross-attention.
            memory_layout: layout of the sequences in `memory`.
            keys: keys of dropout for the sequences in `x`, required in training with dropout.
            guide: observer of a head of cross-attention that learns alignments.

        Returns:
            `(num_tokens, d_model)`.
        """
        seeds = _weight_seeds(self.self_attention, keys, _SELF_WEIGHTS)
        attended = self.self_attention(self._before(x, self.self_attention_norm), layout, seeds=seeds)
        x = self._after(x, attended, self.self_attention_norm, keys, _SELF_RESULT)
        if self.cross_attention is not None:
            assert memory is not None and memory_layout is not None
            seeds = _weight_seeds(self.cross_attention, keys, _CROSS_WEIGHTS)
            attention_input = self._before(x, self.cross_attention_norm)
            attended = self.cross_attention(attention_input, layout, memory, memory_layout, seeds=seeds, guide=guide)
            x = self._after(x, attended, self.cross_attention_norm, keys, _CROSS_RESULT)
        return self._feed_forward(x, keys)

    def prefill(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, Tensor, Tensor]:
        """Apply a layer without cross-attention and return what later tokens attend to.

        Args:
            x: `(num_tokens, d_model)`.
            layout: layout of the sequences in `x`.

        Returns:
            The result of `forward`, then keys and values, both `(num_tokens, heads, head_dim)`.
        """
        attention_input = self._before(x, self.self_attention_norm)
        queries, keys, values = self.self_attention.queries_keys_values(attention_input, layout)
        attended = self.self_attention.attend([queries, keys, values], layout, layout, seeds=None)
        return self._feed_forward(self._after(x, attended, self.self_attention_norm)), keys, values

    def step(self, x: Tensor, cache: Cache, position: int | Tensor, memory: Memory | None) -> Tensor:
        """Apply the layer to one more token of each row, `(rows, d_model)`, and add the token to the cache."""
        attended = self.self_attention.step(self._before(x, self.self_attention_norm), cache, position)
        x = self._after(x, attended, self.self_attention_norm)
        if self.cross_attention is not None:
            assert memory is not None
            attended = self.cross_attention.step(self._before(x, self.cross_attention_norm), memory)
            x = self._after(x, attended, self.cross_attention_norm)
        return self._feed_forward(x)

    def _feed_forward(self, x: Tensor, keys: DropoutKeys | None = None) -> Tensor:
        transformed = self.feed_forward(self._before(x, self.feed_forward_norm), keys)
        return self._after(x, transformed, self.feed_forward_norm, keys, _FEED_FORWARD_RESULT)

    def _before(self, x: Tensor, norm: nn.Module) -> Tensor:
        """Return the input of a sublayer."""
        normed: Tensor = norm(x) if self.is_pre_norm else x
        dtype = self.product_dtype
        return normed if normed.dtype == dtype else normed.to(dtype)

    def _after(
        self, x: Tensor, transformed: Tensor, norm: nn.Module, keys: DropoutKeys | None = None, site: int = 0
    ) -> Tensor:
        x = self.dropout.added_to(x, transformed, keys, site)
        return x if self.is_pre_norm else norm(x)


def _weight_seeds(attention: MultiHeadAttention, keys: DropoutKeys | None, site: int) -> Tensor | None:
    """Return the seeds of dropout on attention weights, `(num_sequences,)` int64; None if there is no such dropout."""
    return keys.sequences_at(site) if keys is not None and attention.dropout and attention.training else None


class TransformerStack(nn.Module):
    """Stack of layers, optionally followed by a layer norm.

    Args:
        options: options shared by all layers.
        heads: attention heads of each layer; its length is the number of layers.
        causal: see `TransformerLayer`.
        cross_attention: see `TransformerLayer`.
        final_norm: apply a layer norm after the last layer.
    """

    def __init__(
        self, options: LayerOptions, heads: Sequence[int], *, causal: bool, cross_attention: bool, final_norm: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TransformerLayer(options, num_heads, causal=causal, cross_attention=cross_attention) for num_heads in heads
        )
        self.final_norm = nn.LayerNorm(options.d_model) if final_norm else nn.Identity()

    @property
    def product_dtype(self) -> torch.dtype:
        """See `TransformerLayer.product_dtype`."""
        (first, *_) = self.layers
        assert isinstance(first, TransformerLayer)
        return first.product_dtype

    def forward(
        self,
        x: Tensor,
        layout: SequenceLayout,
        memory: Tensor | None = None,
        memory_layout: SequenceLayout | None = None,
        keys: DropoutKeys | None = None,
        guide: AlignmentGuide | None = None,
    ) -> Tensor:
        """Apply all layers; arguments and result as in `TransformerLayer.forward`, but in `product_dtype`.

        Layer i has the sites of dropout from `SITES_PER_LAYER * i` on.
        """
        for number, layer in enumerate(self.layers):
            layer_keys = keys and keys.at(SITES_PER_LAYER * number)
            x = layer(x, layout, memory, memory_layout, layer_keys, guide and guide.at(number))
        out: Tensor = self.final_norm(x)
        return out.to(self.product_dtype)

    def step(
        self, x: Tensor, caches: Sequence[Cache], position: int | Tensor, memories: Sequence[Memory | None]
    ) -> Tensor:
        """Apply all layers to one more token of each row: `(rows, d_model)`, same shape out."""
        for layer, cache, memory in zip(self.layers, caches, memories, strict=True):
            assert isinstance(layer, TransformerLayer)
            x = layer.step(x, cache, position, memory)
        out: Tensor = self.final_norm(x)
        return out
