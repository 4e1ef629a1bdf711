"""Detection of ranks that stopped answering without closing their connections, such as those of a lost machine."""

from __future__ import annotations

import os
import sys
import threading
import time

from torch._C._distributed_c10d import Store

_BEAT_SECONDS = 3.0
_TICK_SECONDS = 1.0
_LIMIT = 30.0  # seconds without a sign of life after which a rank or the store is lost
_MIN_TICKS = 12  # of this process in the same time, so that a process that was stopped itself first looks again


class Silence:
    """The time since the last sign of life of each rank and of the store, in seconds and in ticks of this process.

    Seconds alone would count the time in which this process was stopped, when it could see no sign. Ticks alone would
    have no bound on a busy machine, where a tick may take several seconds.

    Args:
        count: number of those whose signs are noted.
        now: time in seconds.
    """

    def __init__(self, count: int, now: float) -> None:
        self._ticks = 0
        self._signs = [(now, 0)] * count  # time and tick of the last sign

    def note(self, who: int, now: float) -> None:
        """Note a sign of life."""
        self._signs[who] = (now, self._ticks)

    def tick(self, now: float) -> list[int]:
        """Count a tick; return those that are lost, which is after `_LIMIT` seconds and `_MIN_TICKS` ticks."""
        self._ticks += 1
        return [
            who
            for who, (since, tick) in enumerate(self._signs)
            if now - since > _LIMIT and self._ticks - tick >= _MIN_TICKS
        ]


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
        self._counts = [b""] * world_size
        self._silence = Silence(world_size + 1, time.monotonic())  # the last is the store
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
            now = time.monotonic()
            self._silence.note(self._world_size, now)
            for rank, value in zip(present, counts, strict=True):
                if value != self._counts[rank]:
                    self._counts[rank] = value
                    self._silence.note(rank, now)
            self._has_stopped.wait(_BEAT_SECONDS)

    def _watch(self) -> None:
        """End this process if the store or another rank is lost."""
        while not self._has_stopped.wait(_TICK_SECONDS):
            lost = self._silence.tick(time.monotonic())
            if self._world_size in lost:
                self._end("The rank or torchrun that holds the store")
            elif lost:
                self._end(f"Rank {', '.join(map(str, lost))}")

    def _end(self, who: str) -> None:
        if self._has_stopped.is_set():
            return
        sys.stderr.write(
            f"translator: {who} has not answered for {_LIMIT:.0f} seconds: its process or machine is stopped, or "
            "cannot be reached. The same command resumes the run from its last checkpoint.\n"
        )
        sys.stderr.flush()
        os._exit(2)
