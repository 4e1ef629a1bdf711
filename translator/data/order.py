"""Order of the examples in an epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from translator.data.store import IntArray


class EpochOrder:
    """Shuffled examples of weighted sources. Each order is a function of (seed, epoch).

    A source of weight 2 occurs twice in each epoch. Of a source of weight 0.5, each epoch takes the next half of a
    fixed permutation, so that two epochs contain it once.
    """

    def __init__(self, bounds: Sequence[int], weights: Sequence[float], seed: int) -> None:
        """Initialize the order of a corpus.

        Args:
            bounds: examples of source i are `bounds[i]` to `bounds[i + 1]`.
            weights: weight of each source.
            seed: random seed of the shuffles.
        """
        self._bounds = tuple(bounds)
        self._weights = tuple(weights)
        self._seed = seed
        self._dtype = np.uint32 if bounds[-1] < 2**32 else np.uint64
        self.epoch = lru_cache(maxsize=2)(self._epoch)

    def _epoch(self, epoch: int) -> IntArray:
        """Return the examples of an epoch in order: `(num_examples,)` unsigned integers."""
        parts = []
        for number, weight in enumerate(self._weights):
            start, stop = self._bounds[number : number + 2]
            parts += [np.arange(start, stop, dtype=self._dtype)] * int(weight)
            if weight % 1:
                parts.append(self._part(number, epoch, weight % 1))
        order = np.concatenate(parts)
        np.random.default_rng([self._seed, epoch]).shuffle(order)
        return order

    def _part(self, number: int, epoch: int, fraction: float) -> IntArray:
        """Return the fraction of a source that this epoch takes."""
        start, stop = self._bounds[number : number + 2]
        size = stop - start
        permutation = np.random.default_rng([self._seed, number, 1]).permutation(
            np.arange(start, stop, dtype=self._dtype)
        )
        first, last = math.floor(epoch * fraction * size), math.floor((epoch + 1) * fraction * size)
        return permutation[np.arange(first, last) % size] if size else permutation
