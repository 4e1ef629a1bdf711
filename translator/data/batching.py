"""Batches of packed examples, filled to two token budgets from a shuffled stream; resumable at every batch.

Batch k is a function of (seed, corpus, k) alone. The number of workers and ranks does not change it, and a stream that
is restored from its state continues with the same batches.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from translator.data.batch import Batch, Capacity, pack_links
from translator.data.cleaning import SourceReport, left_out
from translator.data.examples import Chunk, Examples, Position, Sharing
from translator.data.files import DataError
from translator.data.objectives import Objective
from translator.data.store import IntArray, Ragged

__all__ = ["Batch", "BatchStream", "make_batches", "pack_chunk"]

_MIN_BUFFERED_BATCHES = 2  # a batch is filled from a buffer of at least this many batches
_MAX_LEFT_OUT = 0.05  # fraction of the examples, or of their target tokens, that may be too long for a batch


class BatchStream(Iterator[Batch]):
    """The endless stream of training batches of one rank. Epochs follow each other without a short batch.

    Sentences are not sorted by length. A batch takes examples from the head of a shuffled buffer while they fit both
    budgets. An example that does not fit keeps its place and comes first in the next batch.

    Attributes:
        capacity: token budgets, and the sizes to which a batch can be padded (`Batch.padded`).
        report: numbers of rows read, kept and dropped per source. Examples that are longer than a batch are left out
            of the stream, and counted here.
    """

    def __init__(
        self,
        examples: Examples,
        *,
        seed: int,
        batch_tokens: int,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        sharing: Sharing | None = None,
    ) -> None:
        """Start at batch 0.

        Args:
            examples: training examples.
            seed: random seed of the order.
            batch_tokens: target tokens per batch, or source tokens for an encoder-only model. The budget of the other
                side follows from the length ratio of the examples.
            rank: this rank takes batches k with `k % world_size == rank`.
            world_size: number of ranks.
            workers: number of worker processes that prepare examples ahead; 0 uses this process.
            sharing: division of the reading of examples among the ranks; None reads all of them in this process.

        Raises:
            DataError: if too many examples are longer than a batch.
        """
        self._objective = examples.objective
        budgets = examples.objective.budgets(batch_tokens, examples.length_ratio)
        self.capacity = capacity_of(examples, budgets)
        self._budgets = budgets
        self.report = examples.report(budgets)
        _check_left_out(self.report, batch_tokens, budgets)
        self._fingerprint = f"{examples.fingerprint} {seed} {batch_tokens}"
        self._rank = rank
        self._world_size = world_size
        self._sharing = sharing
        self._reader = examples.read(seed, budgets, workers, (sharing.rank, sharing.world_size) if sharing else (0, 1))
        self._position = self._reader.position  # of the first chunk that is not in the buffer
        self._ahead: deque[tuple[Chunk, Position]] = deque()  # chunks that are not in the buffer, and their ends
        self._buffer = Chunk.empty(examples.objective.specials)
        self._left = np.arange(0)  # rows of the buffer that are in no batch yet, in order
        self._next_index = 0

    def __next__(self) -> Batch:
        """Return the next batch of this rank. The stream moves past the batches of the other ranks too."""
        mine: Batch | None = None
        for rank in range(self._world_size):
            chosen = self._fill()
            if rank == self._rank:
                mine = pack_chunk(self._objective, self._next_index + rank, self._buffer.take(self._left[chosen]))
            self._left = np.delete(self._left, chosen)
        self._next_index += self._world_size
        assert mine is not None
        return mine

    def state_dict(self) -> dict[str, Any]:
        """Return the position after the last batch as plain values; it is the same on every rank."""
        return {
            "corpus": self._fingerprint,
            "next_index": self._next_index,
            "position": self._position,
            "buffer": self._buffer.take(self._left).state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batch at which the state was taken, by any number of ranks and workers.

        Raises:
            DataError: if the state is of another corpus, seed or batch size, or between the batches of these ranks.
        """
        if state["corpus"] != self._fingerprint:
            raise DataError(
                "A resumed run must have the same training data, seed and training.batch_tokens. "
                f"Received: a checkpoint of {state['corpus']}; this run has {self._fingerprint}. Restore the earlier "
                "values or choose another output."
            )
        if state["next_index"] % self._world_size:
            raise DataError(
                "The number of the next batch must be divisible by the number of processes. "
                f"Received: batch {state['next_index']}, {self._world_size} processes. Resume with another number of "
                "processes."
            )
        if "position" not in state:
            raise DataError(
                "This checkpoint was written by an earlier version, and training cannot resume from it. To reuse its "
                "weights, set training.start_from and choose another output."
            )
        self._next_index = state["next_index"]
        self._position = state["position"]
        self._reader.seek(self._position)
        self._ahead.clear()
        self._buffer = Chunk.from_state_dict(state["buffer"], self._objective.specials)
        self._left = np.arange(len(self._buffer))

    def close(self) -> None:
        """Stop the worker processes."""
        self._reader.close()

    def _fill(self) -> IntArray:
        """Return the places in `_left` of the rows that make the next batch, by first fit: `(n,)` int64."""
        source, target = self._lengths_left()
        while any(
            lengths.sum() < _MIN_BUFFERED_BATCHES * budget
            for lengths, budget in zip((source, target), self._budgets, strict=True)
        ):
            self._buffer = self._buffer.take(self._left).append(self._next_chunk())
            self._left = np.arange(len(self._buffer))
            source, target = self._lengths_left()
        source_ends, target_ends = np.cumsum(source), np.cumsum(target)
        # First the longest head that fits, then one by one the later examples that still fit.
        head = min(
            int(np.searchsorted(source_ends, self._budgets[0], side="right")),
            int(np.searchsorted(target_ends, self._budgets[1], side="right")),
            self.capacity.sequences,
        )
        chosen = list(range(head))
        source_left = self._budgets[0] - (int(source_ends[head - 1]) if head else 0)
        target_left = self._budgets[1] - (int(target_ends[head - 1]) if head else 0)
        row = head
        while len(chosen) < self.capacity.sequences and target_left > 0:
            fits = (source[row:] <= source_left) & (target[row:] <= target_left)
            step = int(fits.argmax()) if len(fits) else 0
            if not len(fits) or not fits[step]:
                break
            row += step
            chosen.append(row)
            source_left -= int(source[row])
            target_left -= int(target[row])
            row += 1
        return np.array(chosen, np.int64)

    def _lengths_left(self) -> tuple[IntArray, IntArray]:
        """Return the source and target tokens of the rows that are in no batch yet."""
        source, target = self._buffer.lengths
        return source[self._left], target[self._left]

    def _next_chunk(self) -> Chunk:
        """Return the next chunk. With several ranks, each reads one chunk of a round and gets those of the others."""
        if not self._ahead:
            reader, sharing = self._reader, self._sharing
            chunks = [next(reader)] if sharing is None else sharing.exchange(lambda: next(reader))
            self._ahead.extend(zip(chunks, self._reader.ends, strict=True))
        chunk, self._position = self._ahead.popleft()
        return chunk


def pack_chunk(objective: Objective, index: int, examples: Chunk) -> Batch:
    """Pack examples into batch number `index`, with their links if they are aligned."""
    batch = objective.pack(index, examples.source, examples.target)
    return batch if examples.links is None else replace(batch, links=pack_links(examples.links))


def capacity_of(examples: Examples, budgets: tuple[int, int]) -> Capacity:
    """Return the capacity of batches of at most this many source and target tokens."""
    sequences = math.ceil(1.25 * budgets[1] / examples.mean_target_length) + 8
    return Capacity(*budgets, sequences=sequences, max_seqlen=examples.max_positions)


def make_batches(source: Ragged, target: Ragged, max_tokens: int, objective: Objective) -> list[Batch]:
    """Return batches of examples in the given order, such as a validation set.

    An example longer than `max_tokens` gets a batch of its own.

    Args:
        source: tokens of each source, without special tokens.
        target: tokens of each target, without special tokens.
        max_tokens: maximum number of tokens of each side of a batch, special tokens included.
        objective: objective of the examples.
    """
    batches: list[Batch] = []
    lengths = np.stack([side.lengths for side in (source, target)], axis=1) + objective.specials
    start = 0
    while start < len(source):
        stop = start
        totals = np.zeros(2, np.int64)
        while stop < len(source):
            totals += lengths[stop]
            if stop > start and totals.max() > max_tokens:
                break
            stop += 1
        rows = np.arange(start, stop)
        batches.append(objective.pack(len(batches), source.take(rows), target.take(rows)))
        start = stop
    return batches


def _check_left_out(report: tuple[SourceReport, ...], batch_tokens: int, budgets: tuple[int, int]) -> None:
    """Raise DataError if the examples that are longer than a batch are too many, or hold too many target tokens."""
    examples, tokens = left_out(report)
    all_examples = examples + sum(source.kept for source in report)
    all_tokens = tokens + sum(source.target_tokens for source in report)
    if examples > _MAX_LEFT_OUT * all_examples or tokens > _MAX_LEFT_OUT * all_tokens:
        raise DataError(
            f"training.batch_tokens must leave out at most {_MAX_LEFT_OUT:.0%} of the examples and of their target "
            f"tokens. Received: {batch_tokens}; {examples:,} of {all_examples:,} examples with {tokens:,} of "
            f"{all_tokens:,} target tokens are longer than a batch of {budgets[0]} source and {budgets[1]} target "
            "tokens. Raise training.batch_tokens."
        )
