"""The decoder-only model: a causal stack for language modeling, and for translation with the source as a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from translator.model.base import DecodingState, SequenceBatch, Transformer, position_table, reordered
from translator.model.caches import CrossMemory, KeyValueCache
from translator.model.dropout import Dropout, DropoutKeys
from translator.model.embedding import TokenEmbedding
from translator.model.layers import SITES_PER_LAYER, LayerOptions, TransformerLayer, TransformerStack
from translator.packing import Packed


class DecoderOnly(Transformer):
    """A causal language model (Radford et al., 2018) over packed batches.

    Each source and its target are one sequence, of which the target is predicted. With empty sources this is a language
    model; with x + EOS as source and BOS + y as target it translates, with EOS and BOS as the separator.

    Args:
        options: options shared by all layers.
        heads: attention heads of each layer.
        vocab_size: size of the vocabulary.
        is_tied: use one matrix for input and output.
        positions: `interleaved` or `halves` (sinusoids), `learned` or `rotary`.
        max_positions: maximum length of a sequence in tokens, source and target together.
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
        self.decoder = TransformerStack(options, heads, causal=True, cross_attention=False, final_norm=final_norm)
        self.dropout = Dropout(options.dropout)
        self._initialize_linear_layers()

    def forward(self, source: Packed, target_input: Packed, seeds: Tensor | None = None) -> Tensor:
        """Return the hidden states from which each next target token is predicted.

        Args:
            source: packed token ids of the prefix of each text; all may be empty.
            target_input: packed token ids that follow, equally many sequences.
            seeds: see `EncoderDecoder.forward`.

        Returns:
            `(num_target_tokens, d_model)`.
        """
        joined, target_rows = joined_sequences(source, target_input)
        layout = joined.layout()
        keys = None if seeds is None else DropoutKeys.of(seeds, layout)
        embedded = self._embed(self.token_embedding, joined.values, layout.positions, keys)
        hidden: Tensor = self.decoder(embedded, layout, keys=keys and keys.at(SITES_PER_LAYER))
        return hidden[target_rows]

    def loss(self, batch: SequenceBatch, seeds: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the label-smoothed cross entropy, summed over target tokens in nats, and the number of target tokens.

        Args:
            batch: source, target input and labels.
            seeds: see `EncoderDecoder.forward`.
        """
        hidden = self(batch.source, batch.target_input, seeds)
        return self._cross_entropy(hidden, self.output_embedding.weight, batch.labels)

    def start(self, source: Packed) -> DecodingState:
        """Return the state after the prefixes, one row for each; prefixes may be empty."""
        layout = source.layout()
        hidden = self._embed(self.token_embedding, source.values, layout.positions)
        memories = []
        for layer in self.decoder.layers:
            assert isinstance(layer, TransformerLayer)
            hidden, keys, values = layer.prefill(hidden, layout)
            memories.append(CrossMemory.of(source.with_values(keys), source.with_values(values)))
        return DecodingState(0, source.num_sequences, [KeyValueCache() for _ in memories], memories)

    def step(self, tokens: Tensor, state: DecodingState) -> Tensor:
        """Consume one token per row and return the logits of the next.

        Args:
            tokens: `(rows,)` int64.
            state: advanced by one token.

        Returns:
            `(rows, vocab_size)` logits in the model's dtype.
        """
        lengths = (state.memories[0].bias[:, 0] == 0).sum(dim=-1).flatten()  # (num_sentences,)
        positions = lengths.repeat_interleave(state.rows // state.num_sentences) + state.position
        caches = [_ContinuedCache(*pair) for pair in zip(state.memories, state.caches, strict=True)]
        embedded = self._embed(self.token_embedding, tokens, positions)
        logits = self.logits(self.decoder.step(embedded, caches, positions, [None] * len(caches)))
        state.position += 1
        return logits

    def reorder(self, state: DecodingState, rows: Tensor, sentences: Sequence[int] | None = None) -> DecodingState:
        """Replace row i by row `rows[i]`; see `base.reordered`."""
        return reordered(state, rows, sentences)


@dataclass(frozen=True)
class _ContinuedCache:
    """Keys and values of one layer: the prefix, shared by the rows of a sentence, and the tokens added by each row."""

    prefix: CrossMemory
    added: KeyValueCache

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """See `attention.Cache`."""
        keys, values = self.added.append(keys, values)  # (rows, heads, length, head_dim)
        num_sentences, heads, longest, head_dim = self.prefix.keys.shape
        grouped = queries.view(num_sentences, -1, heads, head_dim).transpose(1, 2) * scale
        to_prefix = torch.matmul(grouped, self.prefix.keys.transpose(-1, -2)).float() + self.prefix.bias
        to_prefix = to_prefix.transpose(1, 2).reshape(len(queries), heads, 1, longest)
        to_added = torch.matmul(queries[:, :, None] * scale, keys.transpose(-1, -2)).float()
        weights = torch.softmax(torch.cat((to_prefix, to_added), dim=-1), dim=-1).to(values.dtype)
        prefix, added = weights[..., :longest], weights[..., longest:]
        shared = prefix.reshape(num_sentences, -1, heads, longest).transpose(1, 2)  # as `grouped`
        from_prefix = torch.matmul(shared, self.prefix.values).transpose(1, 2).reshape(queries.shape)
        return from_prefix + torch.matmul(added, values).squeeze(2)


def joined_sequences(first: Packed, second: Packed) -> tuple[Packed, Tensor]:
    """Concatenate each sequence of one packed batch with the same sequence of another; trailing padding stays last.

    Args:
        first: `(n,)` values.
        second: `(m,)` values, equally many sequences.

    Returns:
        The joined sequences, `(n + m,)`, and the row of each row of `second` among them, `(m,)` int64.
    """
    num_rows = len(first.values)
    first_rows = _moved_rows(first, second.cu_seqlens)
    second_rows = _moved_rows(second, torch.cat((first.cu_seqlens[1:], first.cu_seqlens.new_full((1,), num_rows))))
    values = first.values.new_empty(num_rows + len(second.values))
    values = values.index_copy(0, first_rows, first.values).index_copy(0, second_rows, second.values)
    offsets = first.cu_seqlens + second.cu_seqlens
    return Packed(values, offsets, first.max_seqlen + second.max_seqlen), second_rows


def _moved_rows(packed: Packed, shifts: Tensor) -> Tensor:
    """Return each row plus the shift of its sequence, `shifts[-1]` in trailing padding: `(num_tokens,)` int64."""
    rows = torch.arange(len(packed.values), device=packed.values.device)
    sequence = torch.searchsorted(packed.cu_seqlens[1:], rows, right=True)  # num_sequences for trailing padding
    return rows + shifts[sequence]
