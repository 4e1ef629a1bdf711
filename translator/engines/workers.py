"""Worker threads that each compute on one CPU thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class SingleThreadWorkers:
    """A pool of threads in which torch uses one CPU thread each.

    A step of decoding is a few hundred small operations. Threads that share each of them mostly wait for one another;
    threads that each have their own batch do not.

    `torch.set_num_threads` in one thread also sets what threads use that start later. So the number is set once, when
    the pool starts, and put back at once, not around each call: otherwise threads that start during a call would keep
    one CPU thread for good, and overlapping calls would put back each other's numbers.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._identity = (0, 0)  # process and number of workers: a forked process has none of its parent's threads

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], num_workers: int) -> Iterator[Result]:
        """Yield `function(item)` of each item, in order, computed by `num_workers` threads at a time.

        Items that have not been started when one fails are left out.
        """
        if min(num_workers, len(items)) <= 1:
            yield from map(function, items)
            return
        yield from self._started(num_workers).map(function, items)

    def _started(self, num_workers: int) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None or self._identity != (os.getpid(), num_workers):
                self._pool, self._identity = _start_pool(num_workers), (os.getpid(), num_workers)
            return self._pool


_START_LOCK = Lock()  # two pools that start at once would put back each other's numbers


def _start_pool(num_workers: int) -> ThreadPoolExecutor:
    """Start all threads of a pool, and put back the number of CPU threads that later threads get."""
    with _START_LOCK:
        num_threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(num_workers, "translator", initializer=_use_one_thread)
        barrier = Barrier(num_workers + 1)
        for _ in range(num_workers):
            pool.submit(barrier.wait)
        barrier.wait()
        torch.set_num_threads(num_threads)
    return pool


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # in a new thread the first call reads the process's number: before it is put back
