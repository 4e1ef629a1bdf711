"""The decoder alone: one causal stack that continues a text, and translates where the text is a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from translator.model.attention import CrossMemory, KeyValueCache
from translator.model.base import DecodingState, SequenceBatch, Transformer, position_table, reordered
from translator.model.embedding import TokenEmbedding
from translator.model.layers import Dropout, LayerOptions, TransformerLayer, TransformerStack
from translator.packing import Packed, pad


class DecoderOnly(Transformer):
    """A causal language model (Radford et al., 2018) over packed batches.

    It reads each source and then its target as one sequence, and predicts the target: with empty sources it models
    language; with x + EOS before BOS + y it translates, EOS and BOS being the separator between the languages.

    Args:
        options: what all layers share.
        heads: attention heads of each layer.
        vocab_size: pieces of the one vocabulary.
        is_tied: one matrix for input and output.
        positions: `interleaved` or `halves` (sinusoids), `learned` or `rotary`.
        max_positions: longest sequence in tokens, source and target together.
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
        self._draw_weights()

    def forward(self, source: Packed, target_input: Packed) -> Tensor:
        """Hidden states from which each next target token is predicted.

        Args:
            source: packed token ids that each text begins with; they may all be empty.
            target_input: packed token ids that follow, as many sequences.

        Returns:
            `(num_target_tokens, d_model)`.
        """
        joined, target_rows = joined_sequences(source, target_input)
        positions = joined.with_values(joined.positions())
        hidden: Tensor = self.decoder(self._embed(self.token_embedding, joined.values, positions.values), positions)
        return hidden[target_rows]

    def loss(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """Label-smoothed cross entropy, summed over real target tokens in nats, and the number of these tokens."""
        hidden = self(batch.source, batch.target_input)
        return self._cross_entropy(hidden, self.output_embedding.weight, batch.labels)

    def start(self, source: Packed) -> DecodingState:
        """Read the beginnings, one row for each, and stand before the token that follows; they may be empty."""
        positions = source.with_values(source.positions())
        hidden = self._embed(self.token_embedding, source.values, positions.values)
        is_padding = torch.arange(int(source.lengths.max()), device=hidden.device) >= source.lengths[:, None]
        bias = torch.zeros(is_padding.shape, device=hidden.device).masked_fill_(is_padding, -torch.inf)
        memories = []
        for layer in self.decoder.layers:
            assert isinstance(layer, TransformerLayer)
            keys, values = (
                pad(source.with_values(x)).transpose(1, 2).contiguous()  # (num_sentences, heads, longest, head_dim)
                for x in layer.self_keys_and_values(hidden, positions)
            )
            memories.append(CrossMemory(keys, values, bias[:, None, None]))
            hidden = layer(hidden, positions)
        return DecodingState(0, source.num_sequences, [KeyValueCache() for _ in memories], memories)

    def step(self, tokens: Tensor, state: DecodingState) -> Tensor:
        """Take one token a row and score the next.

        Args:
            tokens: `(rows,)` int64.
            state: advanced by one token.

        Returns:
            `(rows, vocab_size)` logits in the model's dtype.
        """
        lengths = (state.memories[0].bias == 0).sum(dim=-1).flatten()  # (num_sentences,)
        positions = lengths.repeat_interleave(state.rows // state.num_sentences) + state.position
        caches = [_ContinuedCache(*pair) for pair in zip(state.memories, state.caches, strict=True)]
        embedded = self._embed(self.token_embedding, tokens, positions)
        logits = self.logits(self.decoder.step(embedded, caches, positions, [None] * len(caches)))
        state.position += 1
        return logits

    def reorder(self, state: DecodingState, rows: Tensor, sentences: Sequence[int] | None = None) -> DecodingState:
        """Make row i what row `rows[i]` was; see `base.reordered`."""
        return reordered(state, rows, sentences)


@dataclass(frozen=True)
class _ContinuedCache:
    """One layer's memory of a text: its beginning, which the rows of a sentence share, and what each row added."""

    beginning: CrossMemory
    added: KeyValueCache

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """See `attention.Cache`."""
        keys, values = self.added.append(keys, values)  # (rows, heads, length, head_dim)
        num_sentences, heads, longest, head_dim = self.beginning.keys.shape
        grouped = queries.view(num_sentences, -1, heads, head_dim).transpose(1, 2) * scale
        to_beginning = torch.matmul(grouped, self.beginning.keys.transpose(-1, -2)).float() + self.beginning.bias
        to_beginning = to_beginning.transpose(1, 2).reshape(len(queries), heads, 1, longest)
        to_added = torch.matmul(queries[:, :, None] * scale, keys.transpose(-1, -2)).float()
        weights = torch.softmax(torch.cat((to_beginning, to_added), dim=-1), dim=-1).to(values.dtype)
        beginning, added = weights[..., :longest], weights[..., longest:]
        shared = beginning.reshape(num_sentences, -1, heads, longest).transpose(1, 2)  # as `grouped`
        from_beginning = torch.matmul(shared, self.beginning.values).transpose(1, 2).reshape(queries.shape)
        return from_beginning + torch.matmul(added, values).squeeze(2)


def joined_sequences(first: Packed, second: Packed) -> tuple[Packed, Tensor]:
    """Each sequence of one packed batch followed by the same one of another; filler stays at the end.

    Args:
        first: `(n,)` values.
        second: `(m,)` values, as many sequences.

    Returns:
        The joined sequences, `(n + m,)`, and where among them the rows of `second` lie, `(m,)` int64.
    """
    num_rows = len(first.values)
    first_rows = _moved_rows(first, second.cu_seqlens)
    second_rows = _moved_rows(second, torch.cat((first.cu_seqlens[1:], first.cu_seqlens.new_full((1,), num_rows))))
    values = first.values.new_empty(num_rows + len(second.values))
    values = values.index_copy(0, first_rows, first.values).index_copy(0, second_rows, second.values)
    offsets = first.cu_seqlens + second.cu_seqlens
    return Packed(values, offsets, first.max_seqlen + second.max_seqlen), second_rows


def _moved_rows(packed: Packed, shifts: Tensor) -> Tensor:
    """Where each row goes if sequence s moves by `shifts[s]` and filler by `shifts[-1]`: `(num_tokens,)` int64."""
    rows = torch.arange(len(packed.values), device=packed.values.device)
    sequence = torch.searchsorted(packed.cu_seqlens[1:], rows, right=True)  # num_sequences for filler
    return rows + shifts[sequence]
