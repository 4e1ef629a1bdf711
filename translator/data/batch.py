"""One batch: examples end to end, with special ids, and with filler where every step must have the same shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from translator.data.store import IntArray, Ragged, offsets_of
from translator.packing import IGNORE_INDEX, Packed
from translator.tokenizer import BOS_ID, EOS_ID


@dataclass(frozen=True)
class Batch:
    """Examples to learn from, packed.

    What each part holds is the objective's:

    | objective                | source          | target_input  | labels                                        |
    |--------------------------|-----------------|---------------|-----------------------------------------------|
    | translation, denoising   | x + EOS         | BOS + y       | y + EOS                                       |
    | language_modeling        | empty sequences | BOS + y       | y + EOS                                       |
    | masked_language_modeling | masked x + EOS  | no sequences  | of source tokens; IGNORE_INDEX on visible ones |
    | classification           | x + EOS         | no sequences  | a class for each sequence                     |

    Attributes:
        index: k, the batch's number in the stream.
        source: what an encoder reads, or what comes before the target in a decoder alone.
        target_input: what a decoder reads.
        labels: `(num_labels,)` int64, IGNORE_INDEX on filler.
        num_target_tokens: labels that count.
    """

    index: int
    source: Packed
    target_input: Packed
    labels: Tensor
    num_target_tokens: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`; to CUDA it goes through pinned memory, and the host does not wait for it."""
        if device.type != "cuda":
            return self._map(lambda tensor: tensor.to(device))
        return self._map(lambda tensor: tensor.pin_memory().to(device, non_blocking=True))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with each of its tensors changed."""
        return replace(
            self,
            source=self.source.map(change),
            target_input=self.target_input.map(change),
            labels=change(self.labels),
        )


@dataclass(frozen=True)
class Capacity:
    """Exact sizes of a batch where every step must have the same shapes.

    Attributes:
        source_tokens: rows of the packed source.
        target_tokens: rows of the packed target.
        sequences: most sequences; `cu_seqlens` has one entry more.
        max_seqlen: bound on every sequence, in tokens.
    """

    source_tokens: int
    target_tokens: int
    sequences: int
    max_seqlen: int


def pack_pairs(
    index: int, source: Ragged, target: Ragged, capacity: Capacity | None = None, *, ends_source: bool = True
) -> Batch:
    """Pack sources and targets into a batch for a model with a decoder.

    Args:
        index: the batch's number.
        source: pieces of each source, without special ids.
        target: pieces of each target, without special ids.
        capacity: exact sizes to fill up to; None is no filler.
        ends_source: whether sources end with EOS; empty ones that are no texts do not.
    """
    labels = torch.from_numpy(_with_special(target, EOS_ID, at_end=True))
    packed_source = _packed(source, EOS_ID, at_end=True) if ends_source else _packed_plainly(source)
    packed_target = _packed(target, BOS_ID, at_end=False)
    count = len(labels)
    if capacity:
        packed_source = _filled(packed_source, capacity.source_tokens, capacity)
        packed_target = _filled(packed_target, capacity.target_tokens, capacity)
        labels = _filled_labels(labels, capacity.target_tokens)
    return Batch(index, packed_source, packed_target, labels, count)


def pack_texts(
    index: int, source: Ragged, labels: IntArray, capacity: Capacity | None = None, *, num_labels: int = 0
) -> Batch:
    """Pack texts and labels into a batch for an encoder alone.

    Args:
        index: the batch's number.
        source: pieces of each text, without special ids.
        labels: `(n,)` integers, IGNORE_INDEX on those that do not count.
        capacity: exact sizes to fill up to; None is no filler.
        num_labels: labels to fill up to.
    """
    packed = _packed(source, EOS_ID, at_end=True)
    wanted = torch.from_numpy(labels.astype(np.int64))
    count = int((labels != IGNORE_INDEX).sum())
    if capacity:
        packed = _filled(packed, capacity.source_tokens, capacity)
        wanted = _filled_labels(wanted, num_labels)
    return Batch(index, packed, Packed.from_sequences([]), wanted, count)


def with_end(rows: Ragged, special: int) -> IntArray:
    """The rows end to end, a special id after each: `(num_values + num_rows,)` int64."""
    return _with_special(rows, special, at_end=True)


def _packed(rows: Ragged, special: int, at_end: bool) -> Packed:
    """Rows, each with its special id, as a Packed."""
    lengths = rows.lengths + 1
    values = torch.from_numpy(_with_special(rows, special, at_end))
    return Packed(values, torch.from_numpy(offsets_of(lengths).astype(np.int32)), int(lengths.max(initial=0)))


def _packed_plainly(rows: Ragged) -> Packed:
    """Rows as they are, as a Packed."""
    values = torch.from_numpy(rows.values.astype(np.int64))
    return Packed(values, torch.from_numpy(rows.offsets.astype(np.int32)), int(rows.lengths.max(initial=0)))


def _filled(packed: Packed, tokens: int, capacity: Capacity) -> Packed:
    """The same sequences with filler that belongs to none, up to `tokens` rows and the capacity's sequences."""
    filler = packed.values.new_full((tokens - len(packed.values),), EOS_ID)
    ends = packed.cu_seqlens[-1].expand(capacity.sequences - packed.num_sequences)
    return Packed(torch.cat([packed.values, filler]), torch.cat([packed.cu_seqlens, ends]), capacity.max_seqlen)


def _filled_labels(labels: Tensor, count: int) -> Tensor:
    """The same labels with such that do not count, up to `count`."""
    return torch.cat([labels, labels.new_full((count - len(labels),), IGNORE_INDEX)])


def _with_special(rows: Ragged, special: int, at_end: bool) -> IntArray:
    """The rows end to end, a special id before or after each: `(num_values + num_rows,)` int64."""
    values = np.empty(len(rows.values) + len(rows), np.int64)
    is_special = np.zeros(len(values), np.bool_)
    starts = rows.offsets + np.arange(len(rows) + 1)  # of each row, its special id counted
    is_special[starts[1:] - 1 if at_end else starts[:-1]] = True
    values[is_special] = special
    values[~is_special] = rows.values
    return values
