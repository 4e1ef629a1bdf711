"""Whole models: wirings of the one layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from translator.kernels import linear_cross_entropy
from translator.model.attention import Cache, CrossMemory, KeyValueCache, Memory, positions_of
from translator.model.embedding import PositionTable, TokenEmbedding
from translator.model.layers import Dropout, LayerOptions, TransformerLayer, TransformerStack
from translator.packing import Packed, pad

if TYPE_CHECKING:
    from translator.config import ModelConfig

IGNORE_INDEX = -100


class TranslationBatch(Protocol):
    """What `EncoderDecoder.loss` needs of a batch; `data.batching.Batch` is one."""

    @property
    def source(self) -> Packed: ...
    @property
    def target_input(self) -> Packed: ...
    @property
    def labels(self) -> Tensor: ...


@dataclass
class DecodingState:
    """Where the decoder stands: one row for each hypothesis, the rows of a sentence side by side.

    Attributes:
        position: tokens that each row has taken.
        sentences: `(rows,)` int64, index of each row's sentence in the memories.
        caches: keys and values of the rows' tokens, one for each layer.
        memories: keys and values of the sentences, one for each layer.
    """

    position: int
    sentences: Tensor
    caches: list[KeyValueCache]
    memories: list[CrossMemory]


class EncoderDecoder(nn.Module):
    """The Transformer of Vaswani et al. (2017) over packed batches.

    Args:
        options: what all layers share.
        encoder_heads: attention heads of each encoder layer.
        decoder_heads: attention heads of each decoder layer.
        source_vocab_size: pieces of the source vocabulary.
        target_vocab_size: pieces of the target vocabulary.
        tied_embeddings: `all`, `target` or `none`.
        positions: `interleaved` or `halves` (sinusoids), `learned` or `rotary`.
        max_positions: longest sequence in tokens.
        final_norm: whether a layer norm ends each stack.
        label_smoothing: of the loss.
    """

    def __init__(
        self,
        options: LayerOptions,
        *,
        encoder_heads: Sequence[int],
        decoder_heads: Sequence[int],
        source_vocab_size: int,
        target_vocab_size: int,
        tied_embeddings: str = "all",
        positions: str = "interleaved",
        max_positions: int = 512,
        final_norm: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        d_model = options.d_model
        self.max_positions = max_positions
        self.label_smoothing = label_smoothing
        self.target_embedding = TokenEmbedding(target_vocab_size, d_model)
        self.source_embedding = self.target_embedding
        self.output_embedding = self.target_embedding
        if tied_embeddings != "all":
            self.source_embedding = TokenEmbedding(source_vocab_size, d_model)
        if tied_embeddings == "none":
            self.output_embedding = TokenEmbedding(target_vocab_size, d_model)
        self.positions = PositionTable(max_positions, d_model, positions) if positions != "rotary" else None
        self.encoder = TransformerStack(
            options, encoder_heads, causal=False, cross_attention=False, final_norm=final_norm
        )
        self.decoder = TransformerStack(
            options, decoder_heads, causal=True, cross_attention=True, final_norm=final_norm
        )
        self.dropout = Dropout(options.dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def encode(self, source: Packed) -> Tensor:
        """Source tokens to the memory that the decoder attends to: `(num_source_tokens, d_model)`."""
        positions = source.with_values(source.positions())
        hidden: Tensor = self.encoder(self._embed(self.source_embedding, source.values, positions.values), positions)
        return hidden

    def forward(self, source: Packed, target_input: Packed) -> Tensor:
        """Hidden states from which each next target token is predicted.

        Args:
            source: packed token ids, each sentence with its EOS.
            target_input: packed token ids, BOS first.

        Returns:
            `(num_target_tokens, d_model)`.
        """
        memory = self.encode(source)
        positions = target_input.with_values(target_input.positions())
        embedded = self._embed(self.target_embedding, target_input.values, positions.values)
        hidden: Tensor = self.decoder(embedded, positions, memory, source)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the next piece: `(n, d_model)` to `(n, target_vocab_size)` in float32."""
        return self.output_embedding.logits(hidden)

    def loss(self, batch: TranslationBatch) -> tuple[Tensor, Tensor]:
        """Label-smoothed cross entropy, summed over real target tokens in nats, and the number of these tokens."""
        hidden = self(batch.source, batch.target_input)
        if torch.is_autocast_enabled(hidden.device.type):  # custom operators cast for themselves
            hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
        loss = linear_cross_entropy(
            hidden,
            self.output_embedding.weight.to(hidden.dtype),
            batch.labels,
            label_smoothing=self.label_smoothing if self.training else 0.0,
            ignore_index=IGNORE_INDEX,
        )
        return loss, (batch.labels != IGNORE_INDEX).sum()

    def start(self, source: Packed) -> DecodingState:
        """Encode source sentences and stand before their first target token, one row for each sentence."""
        memory = source.with_values(self.encode(source))
        longest = int(source.lengths.max())
        is_padding = torch.arange(longest, device=memory.values.device) >= source.lengths[:, None]
        bias = torch.zeros(is_padding.shape, device=is_padding.device).masked_fill_(is_padding, -torch.inf)
        memories = []
        for layer in self.decoder_layers():
            assert layer.cross_attention is not None
            keys, values = (
                pad(memory.with_values(x)).transpose(1, 2).contiguous()  # (num_sentences, heads, longest, head_dim)
                for x in layer.cross_attention.keys_and_values(memory.values)
            )
            memories.append(CrossMemory(keys, values, bias[:, None, None]))
        sentences = torch.arange(source.num_sequences, device=memory.values.device)
        return DecodingState(0, sentences, [KeyValueCache() for _ in memories], memories)

    def step(self, tokens: Tensor, state: DecodingState) -> Tensor:
        """Take one token a row and score the next.

        Args:
            tokens: `(rows,)` int64.
            state: advanced by one token.

        Returns:
            `(rows, target_vocab_size)` logits in float32.
        """
        logits = self.score(tokens, state.position, state.caches, state.memories)
        state.position += 1
        return logits

    def score(
        self, tokens: Tensor, position: int | Tensor, caches: Sequence[Cache], memories: Sequence[Memory]
    ) -> Tensor:
        """Scores of the token after: `tokens: (rows,)` at a position, a number or `(1,)` int64, to the logits."""
        embedded = self._embed(self.target_embedding, tokens, positions_of(position, tokens))
        return self.logits(self.decoder.step(embedded, caches, position, memories))

    def reorder(self, state: DecodingState, rows: Tensor) -> DecodingState:
        """Make row i what row `rows[i]` was: rows may repeat or vanish, and those of a sentence stay side by side.

        Args:
            state: changed in place.
            rows: `(n,)` int64; as many for each sentence that stays.

        Raises:
            ValueError: the rows mix sentences; the state is as it was.
        """
        if rows.shape == state.sentences.shape and bool((rows == torch.arange(len(rows), device=rows.device)).all()):
            return state
        kept, sentences, counts = torch.unique_consecutive(
            state.sentences[rows], return_inverse=True, return_counts=True
        )
        if bool((counts != counts[:1]).any()) or bool((kept.diff() <= 0).any()):
            raise ValueError(
                "rows must keep the sentences in order, as many rows for each. "
                f"Received: rows of sentences {state.sentences[rows].tolist()}."
            )
        for cache in state.caches:
            cache.reorder(rows)
        if len(kept) < state.memories[0].keys.shape[0]:
            state.memories = [memory.select(kept) for memory in state.memories]
        state.sentences = sentences
        return state

    def _embed(self, embedding: TokenEmbedding, tokens: Tensor, positions: Tensor) -> Tensor:
        embedded: Tensor = embedding(tokens)
        if self.positions is not None:
            embedded = embedded + self.positions(positions)
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def decoder_layers(self) -> list[TransformerLayer]:
        """First to last."""
        return [layer for layer in self.decoder.layers if isinstance(layer, TransformerLayer)]


def build_model(
    config: ModelConfig, source_vocab_size: int, target_vocab_size: int, label_smoothing: float = 0.0
) -> EncoderDecoder:
    """A model with fresh weights, drawn from torch's default generator.

    Args:
        config: the `model` section of a configuration.
        source_vocab_size: pieces of the source vocabulary.
        target_vocab_size: pieces of the target vocabulary.
        label_smoothing: of the training loss.
    """
    options = LayerOptions(
        d_model=config.d_model,
        d_ff=config.d_ff,
        norm=config.norm,
        activation=config.activation,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        activation_dropout=config.activation_dropout,
        rotary_positions=config.max_positions if config.positions == "rotary" else None,
        attention=config.attention,
    )
    match config.architecture:
        case "encoder_decoder":
            return EncoderDecoder(
                options,
                encoder_heads=_per_layer(config.encoder_heads, config.encoder_layers),
                decoder_heads=_per_layer(config.decoder_heads, config.decoder_layers),
                source_vocab_size=source_vocab_size,
                target_vocab_size=target_vocab_size,
                tied_embeddings=config.tied_embeddings,
                positions=config.sinusoids if config.positions == "sinusoidal" else config.positions,
                max_positions=config.max_positions,
                final_norm=config.norm == "pre" if config.final_norm is None else config.final_norm,
                label_smoothing=label_smoothing,
            )


def _per_layer(heads: int | Sequence[int], layers: int) -> Sequence[int]:
    return [heads] * layers if isinstance(heads, int) else heads
