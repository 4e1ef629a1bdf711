"""Reader of a cached corpus: examples in the order of the epochs, prepared in this process or by worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from translator.data.examples import Chunk, Position
from translator.data.order import EpochOrder
from translator.data.workers import Task, WorkerPool

if TYPE_CHECKING:
    from translator.data.corpus import Corpus

_CHUNK = 1024  # examples


class ChunkReader(Iterator[Chunk]):
    """Reads one epoch after the other, in chunks that end where the epoch ends.

    Attributes:
        position: `[epoch, place]` at the beginning of the next round.
        ends: `[epoch, place]` after each chunk of the last round.
    """

    def __init__(
        self,
        corpus: Corpus,
        order: EpochOrder,
        limits: tuple[int, int],
        workers: int,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """Start at the first epoch.

        Args:
            corpus: the examples.
            order: order of the epochs.
            limits: maximum number of tokens of a source and of a target, special tokens included; longer examples are
                left out.
            workers: number of worker processes that prepare chunks ahead; 0 uses this process.
            share: number of the chunk to return of each round, from 0, and number of chunks of a round.
        """
        self.position: Position = [0, 0]
        self.ends: list[Position] = []
        self._corpus = corpus
        self._order = order
        self._limits = limits
        self._own, self._round = share
        self._pool = WorkerPool(corpus, limits, workers) if workers else None
        self._submitted = self.position  # end of the rounds that were submitted to the workers

    def __next__(self) -> Chunk:
        """Return this reader's chunk of the next round. Examples longer than the limits are left out."""
        task, self.ends = self._task(self.position)
        if self._pool is None:
            rows = self._corpus.pieces(task.examples, task.epoch, self._limits)
        else:
            while self._pool.has_capacity:
                ahead, ends = self._task(self._submitted)
                self._submitted = ends[-1]
                self._pool.submit(ahead)
            rows = self._pool.result()
        self.position = self.ends[-1]
        chunk = Chunk.of_rows(rows, self._corpus.objective.specials)
        fits = (chunk.lengths[0] <= self._limits[0]) & (chunk.lengths[1] <= self._limits[1])
        return chunk if fits.all() else chunk.take(np.flatnonzero(fits))

    def seek(self, position: Position) -> None:
        """Continue at a position. Chunks that workers have prepared for other positions are dropped."""
        self.position = self._submitted = list(position)
        if self._pool:
            self._pool.cancel()

    def close(self) -> None:
        """Stop the worker processes."""
        if self._pool:
            self._pool.close()

    def _task(self, position: Position) -> tuple[Task, list[Position]]:
        """Return the examples of this reader's chunk in the round at a position, and the positions after its chunks."""
        epoch, place = position
        ends: list[Position] = []
        for number in range(self._round):
            while place >= len(order := self._order.epoch(epoch)):
                epoch, place = epoch + 1, 0
            stop = min(place + _CHUNK, len(order))
            if number == self._own:
                task = Task(epoch, order[place:stop].astype(np.int64))
            place = stop
            ends.append([epoch, place])
        return task, ends
