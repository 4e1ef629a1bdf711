"""Base class of the architectures: embedding, logits, loss, initialization and decoding state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from translator.kernels import linear_cross_entropy
from translator.kernels.checks import is_checking_values
from translator.model.attention import QueryKeyValueProjection
from translator.model.caches import CrossMemory, KeyValueCache
from translator.model.dropout import Dropout, DropoutKeys
from translator.model.embedding import PositionTable, TokenEmbedding
from translator.packing import IGNORE_INDEX, Packed, TokenLinks


class SequenceBatch(Protocol):
    """Batch that `loss` reads; `data.batching.Batch` implements it and documents the content for each objective."""

    @property
    def source(self) -> Packed:
        """Packed token ids, the input of the encoder."""

    @property
    def target_input(self) -> Packed:
        """Packed token ids, the input of the decoder."""

    @property
    def labels(self) -> Tensor:
        """`(num_labels,)` int64."""

    @property
    def links(self) -> TokenLinks | None:
        """Word alignments of the examples, for guided alignment; None without."""


@dataclass
class DecodingState:
    """State of a decoder: one row per hypothesis, with the rows of a sentence adjacent.

    Attributes:
        position: number of tokens that each row has consumed.
        rows: number of rows, the same for each sentence.
        caches: keys and values of the rows' tokens, one per layer.
        memories: keys and values of the sentences, one per layer.
    """

    position: int
    rows: int
    caches: list[KeyValueCache]
    memories: list[CrossMemory]

    @property
    def num_sentences(self) -> int:
        """Number of sentences."""
        return self.memories[0].keys.shape[0]


class Transformer(nn.Module):
    """Base class of all architectures: everything before and after the layers.

    A subclass sets the attributes in the order in which parameters are to be initialized and stored.

    Attributes:
        max_positions: maximum length of a sequence in tokens.
        label_smoothing: label smoothing of the training loss.
        output_embedding: projection of hidden states to the vocabulary.
        positions: position vectors added to token vectors; None with rotary positions, which attention applies.
        dropout: dropout on the sum.
        output_projection: layer that replaces the product with `output_embedding` in `logits`; see `int8` and `packed`.
    """

    max_positions: int
    label_smoothing: float
    output_embedding: TokenEmbedding
    positions: PositionTable | None
    dropout: Dropout

    def __init__(self) -> None:
        super().__init__()
        self.output_projection: nn.Module | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits of every token: `(n, d_model)` to `(n, vocab_size)`, same dtype."""
        if self.output_projection is not None:
            logits: Tensor = self.output_projection(hidden)
            return logits
        return self._project(hidden)

    def _project(self, hidden: Tensor) -> Tensor:
        return self.output_embedding.logits(hidden)

    def _embed(
        self,
        embedding: TokenEmbedding,
        tokens: Tensor,
        positions: Tensor,
        keys: DropoutKeys | None = None,
        site: int = 0,
    ) -> Tensor:
        """Return the sum of token and position vectors, after dropout with the keys of a site."""
        embedded: Tensor = embedding(tokens)
        if self.positions is not None:
            embedded = embedded + self.positions(positions)
        dropped: Tensor = self.dropout(embedded, keys, site)
        return dropped

    def _cross_entropy(self, hidden: Tensor, weight: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summed label-smoothed cross entropy of `hidden @ weight.T` in nats, and the number of labels.

        Args:
            hidden: `(n, d_model)`.
            weight: `(num_classes, d_model)`.
            labels: `(n,)` int64; rows with IGNORE_INDEX are ignored.
        """
        loss = linear_cross_entropy(
            hidden,
            weight.to(hidden.dtype),
            labels,
            label_smoothing=self.label_smoothing if self.training else 0.0,
            ignore_index=IGNORE_INDEX,
        )
        return loss, (labels != IGNORE_INDEX).sum()

    def _initialize_linear_layers(self) -> None:
        """Initialize every linear layer (Glorot and Bengio, 2010); embeddings initialize themselves."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                joint = module.initialized_parts() if isinstance(module, QueryKeyValueProjection) else None
                for weight in joint or (module.weight,):
                    nn.init.xavier_uniform_(weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def position_table(kind: str, max_positions: int, d_model: int) -> PositionTable | None:
    """Return the position vectors to add to token vectors; None if `kind` is `rotary`."""
    return PositionTable(max_positions, d_model, kind) if kind != "rotary" else None


def reordered(state: DecodingState, rows: Tensor, sentences: Sequence[int] | None) -> DecodingState:
    """Return the state whose row i continues row `rows[i]` of this one; see `Decodable.reorder` in `decoding`.

    Args:
        state: changed in place.
        rows: `(n,)` int64; equally many for each remaining sentence.
        sentences: indices of the remaining sentences, in order; None for all.

    Raises:
        ValueError: if the rows mix sentences; the state is unchanged.
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
    """Raise ValueError if a state cannot be reordered in this way; arguments as in `reordered`.

    On CUDA the values of `rows` are checked only with TRANSLATOR_CHECK=1, because that synchronizes with the device.
    """
    kept = range(old_sentences) if sentences is None else sentences
    is_even = len(rows) % max(1, len(kept)) == 0 and list(kept) == sorted(set(kept))
    if is_even and len(rows) and (rows.device.type == "cpu" or is_checking_values(rows.device)):
        beams = old_rows // old_sentences
        is_even = (rows // beams).tolist() == [sentence for sentence in kept for _ in range(len(rows) // len(kept))]
    if not is_even:
        raise ValueError(
            "rows must keep the sentences in order, with equally many rows for each. "
            f"Received: rows {rows.tolist()} for sentences {list(kept)} of {old_sentences} with {old_rows} rows."
        )
