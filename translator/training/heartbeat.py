"""Detection of ranks that stopped answering without closing their connections, such as those of a lost machine."""

from __future__ import annotations

import os
import sys
import threading
import time

from torch._C._distributed_c10d import Store

_BEAT_SECONDS = 3.0
_LIMIT = 45.0  # seconds without a beat after which a rank is lost


class Heartbeat:
    """A thread that counts in the store, and another that ends this process if a count stands still for too long.

    The main thread cannot do this: it may be inside a collective operation, which cannot be interrupted. What keeps a
    rank busy, such as training a tokenizer, does not stop its threads.

    Args:
        store: key-value store that all ranks reach.
        rank: number of this process.
        world_size: number of processes.
    """

    def __init__(self, store: Store, rank: int, world_size: int) -> None:
        self._store, self._rank, self._world_size = store, rank, world_size
        now = time.monotonic()
        self._last_contact = now  # with the store
        self._counts = [b""] * world_size
        self._last_beats = [now] * world_size
        self._has_stopped = threading.Event()
        for work in (self._beat, self._watch):
            threading.Thread(target=work, name=f"heartbeat {work.__name__}", daemon=True).start()

    def stop(self) -> None:
        """Stop both threads: from now on, other ranks may end."""
        self._has_stopped.set()

    def _beat(self) -> None:
        """Count in the store, and note which other counts have changed."""
        count = 0
        keys = [str(rank) for rank in range(self._world_size)]
        while not self._has_stopped.is_set():
            try:
                count += 1
                self._store.set(keys[self._rank], str(count))
                present = [rank for rank, key in enumerate(keys) if self._store.check([key])]
                counts = self._store.multi_get([keys[rank] for rank in present])
            except RuntimeError:  # the store has ended or does not answer
                self._has_stopped.wait(_BEAT_SECONDS)
                continue
            now = self._last_contact = time.monotonic()
            for rank, value in zip(present, counts, strict=True):
                if value != self._counts[rank]:
                    self._counts[rank], self._last_beats[rank] = value, now
            self._has_stopped.wait(_BEAT_SECONDS)

    def _watch(self) -> None:
        """End this process if the store or another rank has been silent for too long."""
        last_look = time.monotonic()
        while not self._has_stopped.wait(1.0):
            now = time.monotonic()
            if now - last_look > 1.0 + _BEAT_SECONDS:  # this process was stopped itself
                self._last_contact = now
                self._last_beats = [now] * self._world_size
            last_look = now
            if now - self._last_contact > _LIMIT:
                self._end("The rank or torchrun that holds the store")
            silent = [rank for rank, last in enumerate(self._last_beats) if now - last > _LIMIT]
            if silent:
                self._end(f"Rank {', '.join(map(str, silent))}")

    def _end(self, who: str) -> None:
        if self._has_stopped.is_set():
            return
        sys.stderr.write(
            f"translator: {who} has not answered for {_LIMIT:.0f} seconds: its process or machine is stopped, or "
            "cannot be reached. The same command resumes the run from its last checkpoint.\n"
        )
        sys.stderr.flush()
        os._exit(2)
