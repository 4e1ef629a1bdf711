"""The order in which an epoch passes over the examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from translator.data.store import IntArray


class EpochOrder:
    """Shuffles the examples of weighted sources; every order is a function of (seed, epoch).

    A source of weight 2 comes twice in each epoch. One of weight 0.5 comes by halves: each epoch takes the next
    half of a fixed shuffle, so that two epochs hold it once.
    """

    def __init__(self, bounds: Sequence[int], weights: Sequence[float], seed: int) -> None:
        """Make the orders of a corpus.

        Args:
            bounds: examples of source i are `bounds[i]` to `bounds[i + 1]`.
            weights: of each source.
            seed: of the shuffles.
        """
        self._bounds = tuple(bounds)
        self._weights = tuple(weights)
        self._seed = seed
        self._dtype = np.uint32 if bounds[-1] < 2**32 else np.uint64
        self.epoch = lru_cache(maxsize=2)(self._epoch)

    def _epoch(self, epoch: int) -> IntArray:
        """The examples of an epoch in their order: `(num_examples,)` unsigned."""
        parts = []
        for number, weight in enumerate(self._weights):
            start, stop = self._bounds[number : number + 2]
            parts += [np.arange(start, stop, dtype=self._dtype)] * int(weight)
            if weight % 1:
                parts.append(self._some(number, epoch, weight % 1))
        order = np.concatenate(parts)
        np.random.default_rng([self._seed, epoch]).shuffle(order)
        return order

    def _some(self, number: int, epoch: int, share: float) -> IntArray:
        """The share of a source whose turn it is in this epoch."""
        start, stop = self._bounds[number : number + 2]
        size = stop - start
        turns = np.random.default_rng([self._seed, number, 1]).permutation(np.arange(start, stop, dtype=self._dtype))
        first, last = math.floor(epoch * share * size), math.floor((epoch + 1) * share * size)
        return turns[np.arange(first, last) % size] if size else turns
