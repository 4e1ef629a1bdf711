"""Examples in the order of the stream, a chunk at a time, prepared here or ahead by worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from translator.data.corpus import Corpus
from translator.data.order import EpochOrder
from translator.data.store import IntArray, Ragged
from translator.data.workers import Task, WorkerPool

_CHUNK = 1024  # examples


@dataclass(frozen=True)
class Chunk:
    """A run of examples, by their places in the stream.

    Attributes:
        epochs: `(n,)` int64.
        places: in the epoch's order, `(n,)` int64.
        source: pieces of each source, without special ids.
        target: pieces of each target, without special ids.
        specials: special ids that each source and each target will get.
    """

    epochs: IntArray
    places: IntArray
    source: Ragged
    target: Ragged
    specials: tuple[int, int]

    @classmethod
    def empty(cls, specials: tuple[int, int]) -> Chunk:
        """No examples."""
        none = np.empty(0, np.int64)
        return cls(none, none, Ragged.of_rows([], np.int32), Ragged.of_rows([], np.int32), specials)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def lengths(self) -> tuple[IntArray, IntArray]:
        """Tokens of each source and each target, special ids counted: two `(n,)` int64."""
        return self.source.lengths + self.specials[0], self.target.lengths + self.specials[1]

    def take(self, rows: IntArray) -> Chunk:
        """These rows, in this order."""
        return replace(
            self,
            epochs=self.epochs[rows],
            places=self.places[rows],
            source=self.source.take(rows),
            target=self.target.take(rows),
        )

    def append(self, other: Chunk) -> Chunk:
        """The examples of both, one after the other."""
        return replace(
            self,
            epochs=np.concatenate([self.epochs, other.epochs]),
            places=np.concatenate([self.places, other.places]),
            source=self.source.append(other.source),
            target=self.target.append(other.target),
        )

    def ranges(self) -> list[list[int]]:
        """The places as runs `[epoch, first, last + 1]`, in order: what is needed to make the chunk again."""
        is_start = np.ones(len(self), np.bool_)
        is_start[1:] = (np.diff(self.epochs) != 0) | (np.diff(self.places) != 1)
        starts = [*np.flatnonzero(is_start).tolist(), len(self)]
        return [
            [int(self.epochs[first]), int(self.places[first]), int(self.places[last - 1]) + 1]
            for first, last in pairwise(starts)
        ]


class ChunkReader(Iterator[Chunk]):
    """The examples of one epoch after the other, in chunks that end where the epoch ends.

    Examples that are too long for a batch are left out.

    Attributes:
        position: `(epoch, place)` where the next chunk begins.
    """

    def __init__(self, corpus: Corpus, order: EpochOrder, longest: tuple[int, int], workers: int) -> None:
        """Start at the first epoch.

        Args:
            corpus: what is read.
            order: of the epochs.
            longest: most tokens of a source and of a target, EOS counted.
            workers: processes that prepare chunks ahead; 0 is in this process.
        """
        self.position = (0, 0)
        self._corpus = corpus
        self._order = order
        self._longest = longest
        self._specials = corpus.objective.specials
        self._pool = WorkerPool(corpus, longest, workers) if workers else None
        self._ahead = self.position  # where the first chunk begins that the workers have not been asked for

    def __next__(self) -> Chunk:
        task, after = self._task(self.position)
        if self._pool is None:
            source, target = self._corpus.pieces(task.examples, task.epoch, self._longest)
        else:
            while self._pool.has_room:
                ahead, self._ahead = self._task(self._ahead)
                self._pool.submit(ahead)
            source, target = self._pool.result()
        self.position = after
        size = len(task.examples)
        places = np.arange(after[1] - size, after[1])
        chunk = Chunk(np.full(size, task.epoch), places, source, target, self._specials)
        fits = (chunk.lengths[0] <= self._longest[0]) & (chunk.lengths[1] <= self._longest[1])
        return chunk if fits.all() else chunk.take(np.flatnonzero(fits))

    def restore(self, position: Sequence[int], ranges: Sequence[Sequence[int]]) -> Chunk:
        """Go on reading at `position`; returns the examples of these ranges (`Chunk.ranges`), read anew."""
        self.position = self._ahead = (position[0], position[1])
        if self._pool:
            self._pool.forget()
        chunk = Chunk.empty(self._specials)
        for epoch, first, last in ranges:
            examples = self._order.epoch(epoch)[first:last].astype(np.int64)
            pieces = self._corpus.pieces(examples, epoch, self._longest)
            chunk = chunk.append(Chunk(np.full(last - first, epoch), np.arange(first, last), *pieces, self._specials))
        return chunk

    def close(self) -> None:
        """End the worker processes."""
        if self._pool:
            self._pool.close()

    def _task(self, position: tuple[int, int]) -> tuple[Task, tuple[int, int]]:
        """What the chunk at a position holds, and where it ends."""
        epoch, place = position
        while place >= len(order := self._order.epoch(epoch)):
            epoch, place = epoch + 1, 0
        examples = order[place : place + _CHUNK].astype(np.int64)
        return Task(epoch, examples), (epoch, place + len(examples))
