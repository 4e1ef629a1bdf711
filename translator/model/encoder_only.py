"""The encoder-only model: a bidirectional stack for masked language modeling or classification."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from translator.model.base import SequenceBatch, Transformer, position_table
from translator.model.dropout import Dropout, DropoutKeys
from translator.model.embedding import TokenEmbedding
from translator.model.layers import SITES_PER_LAYER, LayerOptions, TransformerStack
from translator.packing import Packed

_MEAN_SITE = 1  # of dropout; the embedding has site 0


class EncoderOnly(Transformer):
    """BERT (Devlin et al., 2019) over packed batches, without segment embeddings.

    Without a classifier it predicts the token at each position. With one it predicts the class of each text from the
    mean of its encodings, which needs fewer training texts than the encoding of one special token, as in BERT.

    Args:
        options: options shared by all layers.
        heads: attention heads of each layer.
        vocab_size: size of the vocabulary.
        is_tied: use one matrix for input and output.
        num_labels: number of classes; 0 for no classifier.
        positions: `interleaved` or `halves` (sinusoids), `learned` or `rotary`.
        max_positions: maximum length of a sequence in tokens.
        final_norm: apply a layer norm after the stack.
        label_smoothing: label smoothing of the training loss.
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
        self._initialize_linear_layers()

    def encode(self, source: Packed, seeds: Tensor | None = None) -> Tensor:
        """Encode tokens: `(num_source_tokens, d_model)`; for `seeds` see `EncoderDecoder.forward`."""
        layout = source.layout()
        keys = None if seeds is None else DropoutKeys.of(seeds, layout)
        embedded = self._embed(self.token_embedding, source.values, layout.positions, keys)
        hidden: Tensor = self.encoder(embedded, layout, keys=keys and keys.at(SITES_PER_LAYER))
        return hidden

    def class_logits(self, source: Packed) -> Tensor:
        """Return the class logits of each text, given with its EOS: `(num_sequences, num_labels)`, float32."""
        assert self.classifier is not None
        scores: Tensor = self.classifier(self._mean_encodings(source).to(self.classifier.weight.dtype))
        return scores.float()

    def loss(self, batch: SequenceBatch, seeds: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the label-smoothed cross entropy, summed over labels in nats, and the number of labels.

        Args:
            batch: source and labels.
            seeds: see `EncoderDecoder.forward`.
        """
        if self.classifier is None:
            return self._cross_entropy(self.encode(batch.source, seeds), self.output_embedding.weight, batch.labels)
        return self._cross_entropy(self._mean_encodings(batch.source, seeds), self.classifier.weight, batch.labels)

    def _mean_encodings(self, source: Packed, seeds: Tensor | None = None) -> Tensor:
        """Return the mean encoding of each text after dropout: `(num_sequences, d_model)`; zeros for empty texts."""
        encodings = self.encode(source, seeds)
        rows = torch.arange(len(encodings), device=encodings.device)
        sequence = torch.searchsorted(source.cu_seqlens[1:], rows, right=True)  # num_sequences for trailing padding
        encodings = encodings.to(torch.promote_types(encodings.dtype, torch.float32))  # bfloat16 sums would be rounded
        sums = encodings.new_zeros(source.num_sequences + 1, encodings.shape[1]).index_add(0, sequence, encodings)
        keys = None if seeds is None else DropoutKeys(seeds, seeds)
        means: Tensor = self.dropout(sums[:-1] / source.lengths.clamp(min=1)[:, None], keys, _MEAN_SITE)
        return means
