"""The encoder alone: one bidirectional stack that restores masked pieces, or tells classes of text apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from translator.model.base import SequenceBatch, Transformer, position_table
from translator.model.embedding import TokenEmbedding
from translator.model.layers import Dropout, LayerOptions, TransformerStack
from translator.packing import Packed


class EncoderOnly(Transformer):
    """BERT (Devlin et al., 2019) over packed batches, without its second segment.

    Without a classifier it predicts the piece at each position. With one it predicts the class of each text from the
    mean of its encodings, which learns from fewer texts than the encoding of one mark, as BERT has it.

    Args:
        options: what all layers share.
        heads: attention heads of each layer.
        vocab_size: pieces of the vocabulary.
        is_tied: one matrix for input and output.
        num_labels: classes; 0 is no classifier.
        positions: `interleaved` or `halves` (sinusoids), `learned` or `rotary`.
        max_positions: longest sequence in tokens.
        final_norm: whether a layer norm ends the stack.
        label_smoothing: of the loss.
    """

    def __init__(
        self,
        options: LayerOptions,
        *,
        heads: Sequence[int],
        vocab_size: int,
        is_tied: bool = True,
        num_labels: int = 0,
        positions: str = "interleaved",
        max_positions: int = 512,
        final_norm: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.max_positions = max_positions
        self.label_smoothing = label_smoothing
        self.token_embedding = TokenEmbedding(vocab_size, options.d_model)
        self.output_embedding = self.token_embedding if is_tied else TokenEmbedding(vocab_size, options.d_model)
        self.positions = position_table(positions, max_positions, options.d_model)
        self.encoder = TransformerStack(options, heads, causal=False, cross_attention=False, final_norm=final_norm)
        self.dropout = Dropout(options.dropout)
        self.classifier = nn.Linear(options.d_model, num_labels, bias=False) if num_labels else None
        self._draw_weights()

    def encode(self, source: Packed) -> Tensor:
        """Tokens in their contexts: `(num_source_tokens, d_model)`."""
        positions = source.with_values(source.positions())
        hidden: Tensor = self.encoder(self._embed(self.token_embedding, source.values, positions.values), positions)
        return hidden

    def class_logits(self, source: Packed) -> Tensor:
        """Scores of every class for each text, EOS last: `(num_sequences, num_labels)` in float32."""
        assert self.classifier is not None
        scores: Tensor = self.classifier(self._means_of(source))
        return scores.float()

    def loss(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """Label-smoothed cross entropy, summed over real labels in nats, and their number."""
        if self.classifier is None:
            return self._cross_entropy(self.encode(batch.source), self.output_embedding.weight, batch.labels)
        return self._cross_entropy(self._means_of(batch.source), self.classifier.weight, batch.labels)

    def _means_of(self, source: Packed) -> Tensor:
        """The mean encoding of each text under dropout: `(num_sequences, d_model)`; zeros where a text has no token."""
        encodings = self.encode(source)
        rows = torch.arange(len(encodings), device=encodings.device)
        sequence = torch.searchsorted(source.cu_seqlens[1:], rows, right=True)  # num_sequences for filler
        sums = encodings.new_zeros(source.num_sequences + 1, encodings.shape[1]).index_add(0, sequence, encodings)
        means: Tensor = self.dropout(sums[:-1] / source.lengths.clamp(min=1)[:, None])
        return means
