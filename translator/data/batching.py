"""Batches of packed examples: filled to two token budgets from a shuffled stream, and resumable at any one.

Batch k is a function of (seed, corpus, k) alone: neither the number of workers nor of ranks enters, and a stream
restored from its state goes on as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from translator.data.batch import Batch, Capacity
from translator.data.corpus import Corpus, DataError
from translator.data.objectives import Objective
from translator.data.order import EpochOrder
from translator.data.reader import Chunk, ChunkReader
from translator.data.store import IntArray, Ragged

__all__ = ["Batch", "BatchStream", "make_batches"]

_BATCHES_AHEAD = 2  # the buffer that a batch is filled from holds at least so many
_MOST_LEFT_OUT = 0.05  # share of the corpus that may be too long for a batch


class BatchStream(Iterator[Batch]):
    """The endless stream of training batches of one rank; it runs on from epoch to epoch without a short batch.

    Sentences are not sorted by length. A batch takes them from the head of a shuffled buffer while they fit both
    budgets; one that does not fit keeps its place and is first in line for the next batch.

    Attributes:
        capacity: the budgets, which are the exact sizes where shapes are static.
        left_out: examples of the corpus that are too long for any batch.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        seed: int,
        batch_tokens: int,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        static_shapes: bool = False,
    ) -> None:
        """Start at batch 0.

        Args:
            corpus: what to learn from.
            seed: of the order.
            batch_tokens: target tokens of a batch, or the tokens that an encoder alone reads; those of the other side
                follow from the corpus's length ratio.
            rank: this rank takes batches k with `k % world_size == rank`.
            world_size: number of ranks.
            workers: processes that prepare examples ahead; 0 is in this process.
            static_shapes: fill every batch up to its capacity, so that all have the same shapes.

        Raises:
            DataError: too many examples are longer than a batch.
        """
        self._objective = corpus.objective
        source_tokens, target_tokens = corpus.objective.budgets(batch_tokens, corpus.length_ratio)
        self.capacity = Capacity(
            source_tokens=source_tokens,
            target_tokens=target_tokens,
            sequences=math.ceil(1.25 * target_tokens / corpus.mean_target_length) + 8,
            max_seqlen=corpus.max_positions,
        )
        self._budgets = (self.capacity.source_tokens, self.capacity.target_tokens)
        self.left_out = _count_longer(corpus, self._budgets)
        if self.left_out > _MOST_LEFT_OUT * len(corpus):
            raise DataError(
                "training.batch_tokens must hold the corpus's sentences. "
                f"Received: {batch_tokens}; {self.left_out:,} of {len(corpus):,} examples are longer than a batch of "
                f"{source_tokens} source and {target_tokens} target tokens. Raise training.batch_tokens."
            )
        self._fingerprint = f"{corpus.fingerprint} {seed} {batch_tokens}"
        self._rank = rank
        self._world_size = world_size
        self._static_shapes = static_shapes
        order = EpochOrder(corpus.bounds, corpus.weights, seed)
        self._reader = ChunkReader(corpus, order, self._budgets, workers)
        self._buffer = Chunk.empty(corpus.objective.specials)
        self._next_index = 0

    def __next__(self) -> Batch:
        """This rank's next batch; the stream moves on past the batches of the other ranks too."""
        mine: Batch | None = None
        for rank in range(self._world_size):
            chosen = self._fill()
            if rank == self._rank:
                static = self.capacity if self._static_shapes else None
                pieces = self._buffer.take(chosen)
                mine = self._objective.pack(self._next_index + rank, pieces.source, pieces.target, static)
            is_left = np.ones(len(self._buffer), np.bool_)
            is_left[chosen] = False
            self._buffer = self._buffer.take(np.flatnonzero(is_left))
        self._next_index += self._world_size
        assert mine is not None
        return mine

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands after the last batch handed out, the same on every rank: numbers and strings."""
        return {
            "corpus": self._fingerprint,
            "next_index": self._next_index,
            "next_chunk": list(self._reader.position),
            "buffer": self._buffer.ranges(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the batch at which the state was taken, by whatever number of ranks and workers.

        Raises:
            DataError: the state is of another corpus, seed or batch size, or lies between the batches of these ranks.
        """
        if state["corpus"] != self._fingerprint:
            raise DataError(
                "A data position must be of the same corpus, seed and batch_tokens. "
                f"Received: {state['corpus']} for {self._fingerprint}. Start afresh in another output directory."
            )
        if state["next_index"] % self._world_size:
            raise DataError(
                "A data position must be a multiple of the number of ranks. "
                f"Received: batch {state['next_index']} for {self._world_size} ranks."
            )
        self._next_index = state["next_index"]
        self._buffer = self._reader.restore(state["next_chunk"], state["buffer"])

    def close(self) -> None:
        """End the worker processes."""
        self._reader.close()

    def _fill(self) -> IntArray:
        """Rows of the buffer that make the next batch: first fit, in the order of the buffer, `(n,)` int64."""
        while any(
            lengths.sum() < _BATCHES_AHEAD * budget
            for lengths, budget in zip(self._buffer.lengths, self._budgets, strict=True)
        ):
            self._buffer = self._buffer.append(next(self._reader))
        source, target = self._buffer.lengths
        source_ends, target_ends = np.cumsum(source), np.cumsum(target)
        # All of the head that fits at once, then one by one what still fits further back.
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


def make_batches(source: Ragged, target: Ragged, max_tokens: int, objective: Objective) -> list[Batch]:
    """Batches of examples in the order given, such as a validation set, with no more than `max_tokens` on either side.

    An example that is longer than that has a batch of its own.

    Args:
        source: pieces of each source, without special ids.
        target: pieces of each target, without special ids.
        max_tokens: of each side of a batch, special ids counted.
        objective: that they are examples of.
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


def _count_longer(corpus: Corpus, budgets: tuple[int, int]) -> int:
    """Examples with a side that is longer than its budget."""
    if corpus.longest[0] <= budgets[0] and corpus.longest[1] <= budgets[1]:
        return 0
    count = 0
    for start in range(0, len(corpus), 1 << 16):
        source, target = corpus.lengths(slice(start, min(start + (1 << 16), len(corpus))))
        count += int(((source > budgets[0]) | (target > budgets[1])).sum())
    return count
