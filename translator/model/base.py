"""What the three architectures share: tokens in, as vectors with positions; hidden states out, as logits and a loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from translator.kernels import linear_cross_entropy
from translator.kernels.checks import is_checking_values
from translator.model.attention import CrossMemory, KeyValueCache
from translator.model.embedding import PositionTable, TokenEmbedding
from translator.model.layers import Dropout
from translator.packing import IGNORE_INDEX, Packed


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
        rows: how many there are, as many for each sentence.
        caches: keys and values of the rows' tokens, one for each layer.
        memories: keys and values of the sentences, one for each layer.
    """

    position: int
    rows: int
    caches: list[KeyValueCache]
    memories: list[CrossMemory]

    @property
    def num_sentences(self) -> int:
        return self.memories[0].keys.shape[0]


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
        """Scores of every piece: `(n, d_model)` to `(n, vocab_size)`, same dtype."""
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


def reordered(state: DecodingState, rows: Tensor, sentences: Sequence[int] | None) -> DecodingState:
    """The state whose row i continues row `rows[i]` of this one; see `decoding.search.Decodable.reorder`.

    Args:
        state: changed in place.
        rows: `(n,)` int64; as many for each sentence that stays.
        sentences: those that stay, in order; None for all.

    Raises:
        ValueError: the rows mix sentences; the state is as it was.
    """
    check_order(rows, state.rows, state.num_sentences, sentences)
    for cache in state.caches:
        cache.reorder(rows)
    if sentences is not None:
        kept = torch.tensor(sentences, dtype=torch.int64, device=rows.device)
        state.memories = [memory.select(kept) for memory in state.memories]
    state.rows = len(rows)
    return state


def check_order(rows: Tensor, old_rows: int, old_sentences: int, sentences: Sequence[int] | None) -> None:
    """Raise ValueError where a state cannot be reordered so; arguments as in `reordered`.

    On CUDA, where it would wait for the device, which rows they are is checked only with TRANSLATOR_CHECK=1.
    """
    kept = range(old_sentences) if sentences is None else sentences
    is_even = len(rows) % max(1, len(kept)) == 0 and list(kept) == sorted(set(kept))
    if is_even and len(rows) and (rows.device.type == "cpu" or is_checking_values(rows.device)):
        beams = old_rows // old_sentences
        is_even = (rows // beams).tolist() == [sentence for sentence in kept for _ in range(len(rows) // len(kept))]
    if not is_even:
        raise ValueError(
            "rows must keep the sentences in order, as many rows for each. "
            f"Received: rows {rows.tolist()} for sentences {list(kept)} of {old_sentences} with {old_rows} rows."
        )
