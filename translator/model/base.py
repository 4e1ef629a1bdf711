"""What the three architectures share: tokens in, as vectors with positions; hidden states out, as logits and a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from translator.kernels import linear_cross_entropy
from translator.model.attention import CrossMemory, KeyValueCache
from translator.model.embedding import PositionTable, TokenEmbedding
from translator.model.layers import Dropout
from translator.packing import Packed

IGNORE_INDEX = -100


class SequenceBatch(Protocol):
    """What `loss` needs of a batch; `data.batching.Batch` is one, and says what each objective puts into it."""

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


class Transformer(nn.Module):
    """The ends of a model; what lies between is its architecture's.

    A subclass sets the attributes, each when its turn has come: the order in which parameters are made is the order in
    which they are drawn and stored.

    Attributes:
        max_positions: longest sequence in tokens.
        label_smoothing: of the training loss.
        output_embedding: projects hidden states to pieces.
        positions: added to the tokens' vectors; none with rotary positions, which enter in attention.
        dropout: on the sum.
    """

    max_positions: int
    label_smoothing: float
    output_embedding: TokenEmbedding
    positions: PositionTable | None
    dropout: Dropout

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of every piece: `(n, d_model)` to `(n, vocab_size)` in float32."""
        return self.output_embedding.logits(hidden)

    def _embed(self, embedding: TokenEmbedding, tokens: Tensor, positions: Tensor) -> Tensor:
        embedded: Tensor = embedding(tokens)
        if self.positions is not None:
            embedded = embedded + self.positions(positions)
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def _cross_entropy(self, hidden: Tensor, weight: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Label-smoothed cross entropy of `hidden @ weight.T`, summed over real labels in nats, and their number.

        Args:
            hidden: `(n, d_model)`.
            weight: `(num_classes, d_model)`.
            labels: `(n,)` int64; rows with IGNORE_INDEX do not count.
        """
        if torch.is_autocast_enabled(hidden.device.type):  # custom operators cast for themselves
            hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
        loss = linear_cross_entropy(
            hidden,
            weight.to(hidden.dtype),
            labels,
            label_smoothing=self.label_smoothing if self.training else 0.0,
            ignore_index=IGNORE_INDEX,
        )
        return loss, (labels != IGNORE_INDEX).sum()

    def _draw_weights(self) -> None:
        """Fresh weights for every linear layer (Glorot and Bengio, 2010); embeddings have drawn theirs."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def position_table(kind: str, max_positions: int, d_model: int) -> PositionTable | None:
    """Positions to add to the tokens' vectors; None where they are `rotary`."""
    return PositionTable(max_positions, d_model, kind) if kind != "rotary" else None


def reordered(state: DecodingState, rows: Tensor) -> DecodingState:
    """Make row i what row `rows[i]` was: rows may repeat or vanish, and those of a sentence stay side by side.

    Args:
        state: changed in place.
        rows: `(n,)` int64; as many for each sentence that stays.

    Raises:
        ValueError: the rows mix sentences; the state is as it was.
    """
    if rows.shape == state.sentences.shape and bool((rows == torch.arange(len(rows), device=rows.device)).all()):
        return state
    kept, sentences, counts = torch.unique_consecutive(state.sentences[rows], return_inverse=True, return_counts=True)
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
