"""Optimizer steps: the examples of each, divided among ranks and cut into micro-batches.

The examples of a step are a function of (seed, examples, step). Their division changes only the order of sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from translator.data.batch import Batch, Capacity
from translator.data.batching import BatchStream, capacity_of
from translator.data.cleaning import SourceReport
from translator.data.examples import Examples, Sharing
from translator.data.files import DataError
from translator.data.store import IntArray
from translator.packing import IGNORE_INDEX

_Range = tuple[int, int]


class StepStream(Iterator[list[Batch]]):
    """The endless stream of optimizer steps of one rank, each as a list of micro-batches without padding.

    With `step_tokens`, each step is one batch of the stream of examples, which is divided among the ranks and cut into
    micro-batches of up to `batch_tokens`. All ranks have equally many, because they communicate in each pass of a
    sharded model: a rank with too few examples repeats one without labels. Otherwise, a step is `accumulation` batches
    of `batch_tokens` per rank.

    Attributes:
        capacity: token budgets of a micro-batch, and the sizes to which it can be padded.
    """

    def __init__(
        self,
        examples: Examples,
        *,
        seed: int,
        batch_tokens: int,
        step_tokens: int | None = None,
        accumulation: int = 1,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        sharing: Sharing | None = None,
    ) -> None:
        """Start at step 1.

        Args:
            examples: training examples.
            seed: random seed of the order.
            batch_tokens: tokens per micro-batch, as in `BatchStream`.
            step_tokens: tokens per step over all ranks; None for `accumulation` micro-batches per rank.
            accumulation: micro-batches per step and rank; without meaning with `step_tokens`.
            rank: number of this rank.
            world_size: number of ranks.
            workers: number of worker processes that prepare examples ahead; 0 uses this process.
            sharing: division of the reading of examples among the ranks, as in `BatchStream`.

        Raises:
            DataError: if too many examples are longer than a batch, or a step is too small for the ranks.
        """
        self._rank, self._world_size, self._accumulation = rank, world_size, accumulation
        self._is_divided = step_tokens is not None
        if step_tokens is None:
            self._batches = BatchStream(
                examples,
                seed=seed,
                batch_tokens=batch_tokens,
                rank=rank,
                world_size=world_size,
                workers=workers,
                sharing=sharing,
            )
            self.capacity = self._batches.capacity
            return
        limits = examples.objective.budgets(step_tokens, examples.length_ratio)
        if min(limits) < world_size * examples.max_positions:
            raise DataError(
                "training.step_tokens must hold one example of model.max_positions per process. "
                f"Received: {step_tokens}, for {limits[0]} source and {limits[1]} target tokens, with "
                f"{world_size} x {examples.max_positions}. Raise it, use fewer processes, or lower max_positions."
            )
        self._batches = BatchStream(examples, seed=seed, batch_tokens=step_tokens, workers=workers, sharing=sharing)
        budgets = examples.objective.budgets(batch_tokens, examples.length_ratio)
        # The longest example fits, and no budget is above that of the whole step.
        source, target = (
            min(max(budget, examples.max_positions), limit) for budget, limit in zip(budgets, limits, strict=True)
        )
        self.capacity = capacity_of(examples, (source, target))

    def __next__(self) -> list[Batch]:
        """Return the micro-batches of the next step of this rank."""
        if not self._is_divided:
            return [next(self._batches) for _ in range(self._accumulation)]
        step = next(self._batches)
        lengths = step.lengths
        parts = [micro_batches(lengths, share, self.capacity) for share in shares(lengths, self._world_size)]
        count = max(map(len, parts))
        batches = [step.part(*some) for some in _divided(lengths, parts[self._rank], count)]
        return batches + [_without_labels(batches[-1])] * (count - len(batches))

    @property
    def report(self) -> tuple[SourceReport, ...]:
        """Numbers of rows read, kept and dropped per source; see `BatchStream`."""
        return self._batches.report

    def state_dict(self) -> dict[str, Any]:
        """Return the position after the last step as plain values; it is the same on every rank."""
        return self._batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the step at which the state was taken; see `BatchStream.load_state_dict`."""
        self._batches.load_state_dict(state)

    def close(self) -> None:
        """Stop the worker processes."""
        self._batches.close()


def halves(batch: Batch) -> list[Batch]:
    """Return the two halves of a batch, with about equally many tokens; a batch of one example as it is."""
    lengths = batch.lengths
    return [batch.part(*some) for some in shares(lengths, min(2, len(lengths)))]


def shares(lengths: IntArray, count: int) -> list[_Range]:
    """Divide examples, in order, into ranges with about equally many tokens and at least one example each.

    Args:
        lengths: `(n, 2)` integers, tokens of each source and target.
        count: number of ranges, at most n.
    """
    ends = np.cumsum(lengths.sum(axis=1))
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, count) / count) + 1
    bounds = [0]
    for number, cut in enumerate(cuts.tolist(), 1):
        bounds.append(min(max(cut, bounds[-1] + 1), len(lengths) - count + number))
    return list(pairwise([*bounds, len(lengths)]))


def micro_batches(lengths: IntArray, some: _Range, capacity: Capacity) -> list[_Range]:
    """Cut a range of examples, in order, into ranges that fit a capacity; no single example may exceed it."""
    limits = np.array([capacity.source_tokens, capacity.target_tokens])
    ends = np.cumsum(lengths, axis=0)
    ranges: list[_Range] = []
    start, stop = some
    while start < stop:
        before = ends[start - 1] if start else np.zeros(2, np.int64)
        fits = min(int(np.searchsorted(ends[:, side], before[side] + limits[side], side="right")) for side in (0, 1))
        end = max(start + 1, min(fits, start + capacity.sequences, stop))
        ranges.append((start, end))
        start = end
    return ranges


def _without_labels(batch: Batch) -> Batch:
    """Return a batch that adds nothing to loss and gradients."""
    links = batch.links and batch.links.part(0, 0)
    return replace(batch, labels=torch.full_like(batch.labels, IGNORE_INDEX), num_target_tokens=0, links=links)


def _divided(lengths: IntArray, ranges: list[_Range], count: int) -> list[_Range]:
    """Halve the largest ranges until there are `count`, or only single examples are left."""
    tokens = lengths.sum(axis=1)
    while len(ranges) < count:
        largest = max(ranges, key=lambda some: (some[1] - some[0] > 1, int(tokens[slice(*some)].sum())))
        start, stop = largest
        if stop - start == 1:
            break
        place = ranges.index(largest)
        parts = [(start + first, start + last) for first, last in shares(lengths[start:stop], 2)]
        ranges = [*ranges[:place], *parts, *ranges[place + 1 :]]
    return ranges
