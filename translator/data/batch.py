"""A batch of packed examples with special tokens; it can be split, and padded to sizes that all batches share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from translator.data.store import IntArray, Ragged, offsets_of
from translator.kernels.dropout import mixed
from translator.packing import IGNORE_INDEX, Packed, TokenLinks
from translator.tokenizer import BOS_ID, EOS_ID

_SHORT_SEQLEN = 64  # tokens; see Capacity.bound
_NUMBER_STEP = 0xD1342543DE82EF95  # odd, spreads the numbers of examples over 64 bits


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
        seeds: `(num_sequences,)` int64, seed of the random draws of the model on each example. Before `seeded`, it is
            the number of the example: of the batch in the stream in the upper 32 bits, of its row in the lower.
        links: word alignments of the examples, for guided alignment; None without.
    """

    index: int
    source: Packed
    target_input: Packed
    labels: Tensor
    num_target_tokens: int
    seeds: Tensor
    links: TokenLinks | None = None

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
            seeds=change(self.seeds),
            links=self.links and self.links.map(change),
        )

    def seeded(self, seed: int) -> Batch:
        """Return the batch with seeds that are functions of the seed of the run and the number of each example."""
        return replace(self, seeds=torch.from_numpy(self.seeds_from(seed)))

    def seeds_from(self, seed: int) -> IntArray:
        """Return the seeds that `seeded` gives to the examples, on the host: `(num_sequences,)` int64."""
        start = np.frombuffer(hashlib.blake2b(f"dropout {seed}".encode(), digest_size=8).digest(), "<u8")
        numbers = self.seeds.numpy().view(np.uint64) * np.uint64(_NUMBER_STEP) + start
        return mixed(numbers).view(np.int64)

    def part(self, start: int, stop: int) -> Batch:
        """Return a batch of the examples from `start` to before `stop`; the batch must have no padding."""
        offsets = self._label_offsets()
        labels = self.labels[int(offsets[start]) : int(offsets[stop])]
        source = _sequences(self.source, start, stop)
        target = _sequences(self.target_input, start, stop) if self._has_targets else self.target_input
        links = self.links and self.links.part(start, stop)
        return Batch(self.index, source, target, labels, _count(labels), self.seeds[start:stop], links)

    def padded(self, capacity: Capacity) -> Batch:
        """Return the batch with trailing padding up to the sizes of a capacity."""
        sides = (self.source, self.target_input) if self._has_targets else (self.source,)
        bound = capacity.bound(*sides)
        padded = [
            _pad(side, tokens, capacity.sequences, bound)
            for side, tokens in zip(sides, (capacity.source_tokens, capacity.target_tokens), strict=False)
        ]
        num_labels = capacity.sequences if self._has_labels_of_sequences else len(padded[-1].values)
        missing = self.seeds.new_zeros(capacity.sequences - len(self.seeds))
        return replace(
            self,
            source=padded[0],
            target_input=padded[1] if self._has_targets else self.target_input,
            labels=_pad_labels(self.labels, num_labels),
            seeds=torch.cat([self.seeds, missing]),
        )

    @property
    def lengths(self) -> IntArray:
        """Tokens of the source and of the target of each example: `(num_sequences, 2)` int64."""
        source = self.source.lengths.numpy().astype(np.int64)
        target = self.target_input.lengths.numpy().astype(np.int64) if self._has_targets else np.zeros_like(source)
        return np.stack([source, target], axis=1)

    @property
    def _has_targets(self) -> bool:
        return self.target_input.num_sequences > 0

    @property
    def _has_labels_of_sequences(self) -> bool:
        return not self._has_targets and len(self.labels) == self.source.num_sequences

    def _label_offsets(self) -> Tensor:
        """Return the first label of each example, and the number of labels: `(num_sequences + 1,)`."""
        if self._has_labels_of_sequences:
            return torch.arange(self.source.num_sequences + 1)
        return (self.target_input if self._has_targets else self.source).cu_seqlens


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


def pack_pairs(index: int, source: Ragged, target: Ragged, *, ends_source: bool = True) -> Batch:
    """Pack sources and targets into a batch for a model with a decoder.

    Args:
        index: number of the batch.
        source: tokens of each source, without special tokens.
        target: tokens of each target, without special tokens.
        ends_source: append EOS to each source; False for empty sources of a decoder-only model.
    """
    labels = torch.from_numpy(_with_special(target, EOS_ID, at_end=True))
    packed_source = _pack_special(source, EOS_ID, at_end=True) if ends_source else _pack(source)
    packed_target = _pack_special(target, BOS_ID, at_end=False)
    return Batch(index, packed_source, packed_target, labels, len(labels), _numbers(index, len(source)))


def pack_texts(index: int, source: Ragged, labels: IntArray) -> Batch:
    """Pack texts and labels into a batch for an encoder-only model.

    Args:
        index: number of the batch.
        source: tokens of each text, without special tokens.
        labels: `(n,)` integers, one per token or per text; IGNORE_INDEX where a label does not count.
    """
    packed = _pack_special(source, EOS_ID, at_end=True)
    count = int(np.count_nonzero(labels != IGNORE_INDEX))
    targets = torch.from_numpy(labels.astype(np.int64))
    return Batch(index, packed, Packed.from_sequences([]), targets, count, _numbers(index, len(source)))


def pack_links(links: Ragged) -> TokenLinks:
    """Pack the links of examples: rows of token numbers, source and target in turn."""
    sequences = np.repeat(np.arange(len(links)), links.lengths // 2)
    sources, targets = links.values.reshape(-1, 2).T.astype(np.int64)
    of_token = sequences * (targets.max(initial=0) + 1) + targets
    _, number, counts = np.unique(of_token, return_inverse=True, return_counts=True)
    weights = torch.from_numpy(1 / counts[number].astype(np.float32))
    return TokenLinks(torch.from_numpy(np.stack([sequences, targets, sources])), weights)


def with_end(rows: Ragged, special: int) -> IntArray:
    """Return the concatenated rows with a special token after each: `(num_values + num_rows,)` int64."""
    return _with_special(rows, special, at_end=True)


def _numbers(index: int, count: int) -> Tensor:
    """Return the numbers of the examples of a batch: `(count,)` int64."""
    return torch.from_numpy(np.arange(count, dtype=np.int64) + (index << 32))


def _count(labels: Tensor) -> int:
    return int((labels != IGNORE_INDEX).sum())


def _sequences(packed: Packed, start: int, stop: int) -> Packed:
    """Return the sequences from `start` to before `stop`."""
    offsets = packed.cu_seqlens[start : stop + 1]
    values = packed.values[int(offsets[0]) : int(offsets[-1])]
    return Packed(values, offsets - offsets[0], int(offsets.diff().max()))


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
