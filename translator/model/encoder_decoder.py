"""The encoder-decoder model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from translator.model.attention import positions_of
from translator.model.base import DecodingState, SequenceBatch, Transformer, position_table, reordered
from translator.model.caches import Cache, CrossMemory, KeyValueCache, Memory
from translator.model.dropout import Dropout, DropoutKeys
from translator.model.embedding import TokenEmbedding
from translator.model.guided_alignment import AlignmentGuide
from translator.model.layers import SITES_PER_LAYER, LayerOptions, TransformerLayer, TransformerStack
from translator.packing import Packed, SequenceLayout

_SOURCE_SITE, _TARGET_SITE = range(2)  # of dropout; the layers have the sites from SITES_PER_LAYER on
_BIAS_COLUMNS = 8  # columns that the bias adds to the weight; rows stay aligned for tensor cores


class EncoderDecoder(Transformer):
    """The Transformer of Vaswani et al. (2017) over packed batches.

    Args:
        options: options shared by all layers.
        encoder_heads: attention heads of each encoder layer.
        decoder_heads: attention heads of each decoder layer.
        source_vocab_size: size of the source vocabulary.
        target_vocab_size: size of the target vocabulary.
        tied_embeddings: `all`, `target` or `none`.
        positions: `interleaved` or `halves` (sinusoids), `learned` or `rotary`.
        max_positions: maximum length of a sequence in tokens.
        final_norm: apply a layer norm after each stack.
        output_bias: add a bias to the logits.
        label_smoothing: label smoothing of the training loss.
        alignment_layer: layer of the decoder, from 0, whose cross-attention gives word alignments; None for the last.
        alignment_head: head of that layer, from 0, that gives them; None for the mean over its heads.
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
        output_bias: bool = False,
        label_smoothing: float = 0.0,
        alignment_layer: int | None = None,
        alignment_head: int | None = None,
    ) -> None:
        super().__init__()
        d_model = options.d_model
        self.alignment_layer = len(decoder_heads) - 1 if alignment_layer is None else alignment_layer
        self.alignment_head = alignment_head
        self.max_positions = max_positions
        self.label_smoothing = label_smoothing
        self.target_embedding = TokenEmbedding(target_vocab_size, d_model)
        self.source_embedding = self.target_embedding
        self.output_embedding = self.target_embedding
        if tied_embeddings != "all":
            self.source_embedding = TokenEmbedding(source_vocab_size, d_model)
        if tied_embeddings == "none":
            self.output_embedding = TokenEmbedding(target_vocab_size, d_model)
        self.positions = position_table(positions, max_positions, d_model)
        self.encoder = TransformerStack(
            options, encoder_heads, causal=False, cross_attention=False, final_norm=final_norm
        )
        self.decoder = TransformerStack(
            options, decoder_heads, causal=True, cross_attention=True, final_norm=final_norm
        )
        self.output_bias = nn.Parameter(torch.zeros(target_vocab_size)) if output_bias else None
        self.dropout = Dropout(options.dropout)
        self._initialize_linear_layers()

    def encode(self, source: Packed) -> Tensor:
        """Encode source tokens: `(num_source_tokens, d_model)`, the memory that the decoder attends to."""
        return self._encode(source, source.layout(), None)

    def _encode(self, source: Packed, layout: SequenceLayout, keys: DropoutKeys | None) -> Tensor:
        embedded = self._embed(self.source_embedding, source.values, layout.positions, keys, _SOURCE_SITE)
        hidden: Tensor = self.encoder(embedded, layout, keys=keys and keys.at(SITES_PER_LAYER))
        return hidden

    def forward(
        self, source: Packed, target_input: Packed, seeds: Tensor | None = None, guide: AlignmentGuide | None = None
    ) -> Tensor:
        """Return the hidden states from which each next target token is predicted.

        Args:
            source: packed token ids, each sentence with its EOS.
            target_input: packed token ids, BOS first.
            seeds: `(num_sequences,)` int64, seed of dropout for each example; required in training with dropout.
            guide: observer of the head that learns alignments.

        Returns:
            `(num_target_tokens, d_model)`.
        """
        source_layout, target_layout = source.layout(), target_input.layout()
        source_keys = None if seeds is None else DropoutKeys.of(seeds, source_layout)
        memory = self._encode(source, source_layout, source_keys)
        keys = None if seeds is None else DropoutKeys.of(seeds, target_layout)
        embedded = self._embed(self.target_embedding, target_input.values, target_layout.positions, keys, _TARGET_SITE)
        decoder_keys = keys and keys.at(SITES_PER_LAYER * (1 + len(self.encoder.layers)))
        hidden: Tensor = self.decoder(embedded, target_layout, memory, source_layout, decoder_keys, guide)
        return hidden

    def loss(self, batch: SequenceBatch, seeds: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the label-smoothed cross entropy, summed over target tokens in nats, and the number of target tokens.

        Args:
            batch: source, target input and labels.
            seeds: as in `forward`.
        """
        return self._loss_of(self(batch.source, batch.target_input, seeds), batch.labels)

    def guided_loss(
        self, batch: SequenceBatch, seeds: Tensor | None, link_factor: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss with guided alignment, the number of target tokens, and the alignment loss alone.

        The alignment loss is that of the head `alignment_head`, summed over target tokens that have links
        (`guided_alignment.alignment_loss`). The first result is `loss` plus `link_factor` times the alignment loss; the
        third has no gradient.

        Args:
            batch: source, target input, labels and links.
            seeds: as in `forward`.
            link_factor: factor on the alignment loss, `()` float32.
        """
        assert batch.links is not None and self.alignment_head is not None
        guide = AlignmentGuide(self.alignment_layer, self.alignment_head, batch.links)
        loss, count = self._loss_of(self(batch.source, batch.target_input, seeds, guide), batch.labels)
        return loss + link_factor * guide.loss, count, guide.loss.detach()

    def _loss_of(self, hidden: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        weight: Tensor = self.output_embedding.weight
        if self.output_bias is not None:  # a bias is the weight of a column of ones
            weight = F.pad(torch.cat((weight, self.output_bias[:, None]), dim=1), (0, _BIAS_COLUMNS - 1))
            hidden = F.pad(F.pad(hidden, (0, 1), value=1.0), (0, _BIAS_COLUMNS - 1))
        return self._cross_entropy(hidden, weight, labels)

    def _project(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.output_embedding.weight, self.output_bias)

    def start(self, source: Packed) -> DecodingState:
        """Encode source sentences and return the state before their first target token, one row per sentence."""
        memory = source.with_values(self.encode(source))
        memories = []
        for layer in self.decoder_layers():
            assert layer.cross_attention is not None
            keys, values = layer.cross_attention.keys_and_values(memory.values)
            memories.append(CrossMemory.of(memory.with_values(keys), memory.with_values(values)))
        return DecodingState(0, source.num_sequences, [KeyValueCache() for _ in memories], memories)

    def step(self, tokens: Tensor, state: DecodingState) -> Tensor:
        """Consume one token per row and return the logits of the next.

        Args:
            tokens: `(rows,)` int64.
            state: advanced by one token.

        Returns:
            `(rows, target_vocab_size)` logits in the model's dtype.
        """
        logits = self.logits(self.next_hidden(tokens, state.position, state.caches, state.memories))
        state.position += 1
        return logits

    def next_hidden(
        self, tokens: Tensor, position: int | Tensor, caches: Sequence[Cache], memories: Sequence[Memory]
    ) -> Tensor:
        """Return the hidden states from which the tokens after `tokens` are predicted: `(rows, d_model)`.

        Args:
            tokens: `(rows,)` int64.
            position: position of the tokens, a number or `(1,)` int64.
            caches: keys and values of earlier tokens, one per decoder layer.
            memories: keys and values of the source, one per decoder layer.
        """
        embedded = self._embed(self.target_embedding, tokens, positions_of(position, tokens))
        hidden: Tensor = self.decoder.step(embedded, caches, position, memories)
        return hidden

    def reorder(self, state: DecodingState, rows: Tensor, sentences: Sequence[int] | None = None) -> DecodingState:
        """Replace row i by row `rows[i]`; see `base.reordered`."""
        return reordered(state, rows, sentences)

    def decoder_layers(self) -> list[TransformerLayer]:
        """Return the layers of the decoder, first to last."""
        return [layer for layer in self.decoder.layers if isinstance(layer, TransformerLayer)]
