"""Hash table of fixed size that finds duplicates in a stream."""

from __future__ import annotations

import numpy as np

from translator.data.store import IntArray

_MAX_LOAD = 0.5  # fraction of occupied slots; above it, long runs of occupied slots make searching slow


class SeenTable:
    """Set of the 64-bit hashes of up to `capacity` rows: open addressing with linear probing.

    Two different rows have the same hash, and the second is dropped, with a probability of `capacity` / 2^64 per row:
    5e-14 for a million.

    Args:
        capacity: maximum number of hashes. The table takes 16 to 32 bytes for each.
    """

    def __init__(self, capacity: int) -> None:
        size = 1 << max(4, int(np.ceil(np.log2(capacity / _MAX_LOAD))))
        self._slots = np.zeros(size, np.uint64)  # 0 is an empty slot
        self._mask = np.uint64(size - 1)

    def clear(self) -> None:
        """Remove all hashes."""
        self._slots.fill(0)

    def add(self, hashes: IntArray) -> IntArray:
        """Add hashes `(n,)` uint64; return a mask `(n,)` bool of those that are new. Of equal ones, the first is new.

        The caller adds no more than `capacity` hashes between two calls of `clear`.
        """
        keys = np.maximum(hashes, np.uint64(1))
        unique, first = np.unique(keys, return_index=True)
        is_new = np.zeros(len(keys), np.bool_)
        slots = unique & self._mask
        pending = np.arange(len(unique))
        while len(pending):
            found = self._slots[slots[pending]]
            empty = pending[found == 0]
            self._slots[slots[empty]] = unique[empty]  # of several that meet in one slot, the last stays
            stored = empty[self._slots[slots[empty]] == unique[empty]]
            is_new[first[stored]] = True
            is_done = (self._slots[slots[pending]] == unique[pending]) | (found == unique[pending])
            pending = pending[~is_done]
            slots[pending] = (slots[pending] + np.uint64(1)) & self._mask
        return is_new
