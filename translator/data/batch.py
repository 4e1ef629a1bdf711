"""A batch of packed examples with special tokens, padded at the end if all batches must have the same shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from translator.data.store import IntArray, Ragged, offsets_of
from translator.packing import IGNORE_INDEX, Packed
from translator.tokenizer import BOS_ID, EOS_ID

_SHORT_SEQLEN = 64  # tokens; see Capacity.bound


@dataclass(frozen=True)
class Batch:
    """Packed training examples.

    The content depends on the objective:

    | objective                | source          | target_input  | labels                                        |
    |--------------------------|-----------------|---------------|-----------------------------------------------|
    | translation, denoising   | x + EOS         | BOS + y       | y + EOS                                       |
    | language_modeling        | empty sequences | BOS + y       | y + EOS                                       |
    | masked_language_modeling | masked x + EOS  | no sequences  | of source tokens; IGNORE_INDEX on visible ones |
    | classification           | x + EOS         | no sequences  | one class per sequence                        |

    Attributes:
        index: number of the batch in the stream.
        source: input of the encoder; in a decoder-only model, the tokens before the target.
        target_input: input of the decoder.
        labels: `(num_labels,)` int64, IGNORE_INDEX in trailing padding.
        num_target_tokens: number of labels that count in the loss.
    """

    index: int
    source: Packed
    target_input: Packed
    labels: Tensor
    num_target_tokens: int

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`. The copy to CUDA uses pinned memory and does not block the host."""
        if device.type != "cuda":
            return self._map(lambda tensor: tensor.to(device))
        return self._map(lambda tensor: tensor.pin_memory().to(device, non_blocking=True))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with a function applied to each of its tensors."""
        return replace(
            self,
            source=self.source.map(change),
            target_input=self.target_input.map(change),
            labels=change(self.labels),
        )


@dataclass(frozen=True)
class Capacity:
    """Sizes of a batch whose shapes are static, and limits of one whose shapes are not.

    Attributes:
        source_tokens: rows of the packed source.
        target_tokens: rows of the packed target.
        sequences: maximum number of sequences; `cu_seqlens` has one entry more.
        max_seqlen: maximum length of a sequence, in tokens.
    """

    source_tokens: int
    target_tokens: int
    sequences: int
    max_seqlen: int

    def bound(self, *packed: Packed) -> int:
        """Return the bound on the lengths to give to batches whose sequences are these: one of two.

        Attention on CUDA launches kernels for all lengths within the bound. Two bounds spare a corpus of short
        sentences the kernels for long ones; each further bound would compile the training step once more.
        """
        is_short = all(each.max_seqlen <= _SHORT_SEQLEN for each in packed)
        return min(_SHORT_SEQLEN, self.max_seqlen) if is_short else self.max_seqlen


def pack_pairs(
    index: int, source: Ragged, target: Ragged, capacity: Capacity | None = None, *, ends_source: bool = True
) -> Batch:
    """Pack sources and targets into a batch for a model with a decoder.

    Args:
        index: number of the batch.
        source: tokens of each source, without special tokens.
        target: tokens of each target, without special tokens.
        capacity: sizes to pad to; None adds no padding.
        ends_source: append EOS to each source; False for empty sources of a decoder-only model.
    """
    labels = torch.from_numpy(_with_special(target, EOS_ID, at_end=True))
    packed_source = _pack_special(source, EOS_ID, at_end=True) if ends_source else _pack(source)
    packed_target = _pack_special(target, BOS_ID, at_end=False)
    count = len(labels)
    if capacity:
        bound = capacity.bound(packed_source, packed_target)
        packed_source = _pad(packed_source, capacity.source_tokens, capacity.sequences, bound)
        packed_target = _pad(packed_target, capacity.target_tokens, capacity.sequences, bound)
        labels = _pad_labels(labels, capacity.target_tokens)
    return Batch(index, packed_source, packed_target, labels, count)


def pack_texts(
    index: int, source: Ragged, labels: IntArray, capacity: Capacity | None = None, *, num_labels: int = 0
) -> Batch:
    """Pack texts and labels into a batch for an encoder-only model.

    Args:
        index: number of the batch.
        source: tokens of each text, without special tokens.
        labels: `(n,)` integers, IGNORE_INDEX where a label does not count.
        capacity: sizes to pad to; None adds no padding.
        num_labels: number of labels to pad to.
    """
    packed = _pack_special(source, EOS_ID, at_end=True)
    targets = torch.from_numpy(labels.astype(np.int64))
    count = int((labels != IGNORE_INDEX).sum())
    if capacity:
        packed = _pad(packed, capacity.source_tokens, capacity.sequences, capacity.bound(packed))
        targets = _pad_labels(targets, num_labels)
    return Batch(index, packed, Packed.from_sequences([]), targets, count)


def with_end(rows: Ragged, special: int) -> IntArray:
    """Return the concatenated rows with a special token after each: `(num_values + num_rows,)` int64."""
    return _with_special(rows, special, at_end=True)


def _pack_special(rows: Ragged, special: int, at_end: bool) -> Packed:
    """Pack rows with a special token in each."""
    lengths = rows.lengths + 1
    values = torch.from_numpy(_with_special(rows, special, at_end))
    return Packed(values, torch.from_numpy(offsets_of(lengths).astype(np.int32)), int(lengths.max(initial=0)))


def _pack(rows: Ragged) -> Packed:
    """Pack rows unchanged."""
    values = torch.from_numpy(rows.values.astype(np.int64))
    return Packed(values, torch.from_numpy(rows.offsets.astype(np.int32)), int(rows.lengths.max(initial=0)))


def _pad(packed: Packed, tokens: int, sequences: int, max_seqlen: int) -> Packed:
    """Add trailing padding that belongs to no sequence, and empty sequences, up to the given numbers."""
    padding = packed.values.new_full((tokens - len(packed.values),), EOS_ID)
    ends = packed.cu_seqlens[-1].expand(sequences - packed.num_sequences)
    return Packed(torch.cat([packed.values, padding]), torch.cat([packed.cu_seqlens, ends]), max_seqlen)


def _pad_labels(labels: Tensor, count: int) -> Tensor:
    """Pad labels with IGNORE_INDEX to `count`."""
    return torch.cat([labels, labels.new_full((count - len(labels),), IGNORE_INDEX)])


def _with_special(rows: Ragged, special: int, at_end: bool) -> IntArray:
    """Return the concatenated rows with a special token before or after each: `(num_values + num_rows,)` int64."""
    values = np.empty(len(rows.values) + len(rows), np.int64)
    is_special = np.zeros(len(values), np.bool_)
    starts = rows.offsets + np.arange(len(rows) + 1)  # of each row, special token included
    is_special[starts[1:] - 1 if at_end else starts[:-1]] = True
    values[is_special] = special
    values[~is_special] = rows.values
    return values
