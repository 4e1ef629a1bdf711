"""Processes that look up and tokenize examples ahead of training.

A worker answers tasks in turn and keeps nothing between them, so that their number changes speed and nothing else.
Each hangs on a pipe: when the parent ends, however it ends, the pipe breaks and the worker goes.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

from translator.data.store import IntArray, Ragged
from translator.errors import UserError

if TYPE_CHECKING:
    from translator.data.corpus import Corpus

_TASKS_PER_WORKER = 3  # under way at once: few enough for a pipe to hold all of them (8 KiB each)
_PATIENCE = 5.0  # seconds for a worker to end by itself


class WorkerError(RuntimeError):
    """An exception in a worker process."""


class WorkerEndedError(UserError):
    """A worker process that was killed."""


@dataclass(frozen=True)
class Task:
    """Examples to look up: `(n,)` int64, as an epoch splits them."""

    epoch: int
    examples: IntArray


class WorkerPool:
    """Worker processes, and the tasks that they have been given, in order."""

    def __init__(self, corpus: Corpus, longest: tuple[int, int], num_workers: int) -> None:
        """Start the processes.

        Args:
            corpus: what they read.
            longest: most tokens of a source and of a target, EOS counted.
            num_workers: how many.
        """
        context = multiprocessing.get_context("spawn")
        self._processes: list[BaseProcess] = []
        self._pipes: list[Connection] = []
        for number in range(num_workers):
            here, there = context.Pipe()
            process = context.Process(
                target=_work, args=(there, corpus, longest), name=f"data worker {number}", daemon=True
            )
            process.start()
            there.close()
            self._processes.append(process)
            self._pipes.append(here)
        self._under_way: deque[int] = deque()  # the worker of each task, oldest first
        self._given = 0
        # Runs at exit before multiprocessing would wait for its children.
        self._finalizer = Finalize(self, _end, (self._processes, self._pipes), exitpriority=100)

    @property
    def has_capacity(self) -> bool:
        """Whether the workers can be given another task."""
        return len(self._under_way) < _TASKS_PER_WORKER * len(self._processes)

    def submit(self, task: Task) -> None:
        """Give a task to the worker whose turn it is."""
        worker = self._given % len(self._processes)
        self._given += 1
        try:
            self._pipes[worker].send(task)
        except OSError as error:
            raise self._died(worker) from error
        self._under_way.append(worker)

    def result(self) -> tuple[Ragged, Ragged]:
        """The pieces of the oldest task, source and target.

        Raises:
            WorkerEndedError: if the worker was killed.
            WorkerError: if it failed.
        """
        worker = self._under_way.popleft()
        try:
            answer = self._pipes[worker].recv()
        except (OSError, EOFError) as error:
            raise self._died(worker) from error
        if isinstance(answer, str):
            raise WorkerError(f"Data worker {worker} failed: {answer}")
        source, target = answer
        return source, target

    def cancel(self) -> None:
        """Drop the tasks under way."""
        while self._under_way:
            self.result()

    def close(self) -> None:
        """End the processes."""
        self._finalizer()

    def _died(self, worker: int) -> WorkerEndedError:
        process = self._processes[worker]
        process.join(_PATIENCE)
        return WorkerEndedError(
            f"A data worker must run as long as training. Received: worker {worker} ended with exit code "
            f"{process.exitcode} (-9: killed, often for lack of memory). Lower training.data_workers and resume."
        )


def _work(pipe: Connection, corpus: Corpus, longest: tuple[int, int]) -> None:
    """Answer tasks until the pipe closes."""
    # Ctrl-C and the signals of a job that ends reach the whole group; the parent still saves, and may need a batch.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            task: Task = pipe.recv()
        except (OSError, EOFError):
            return
        try:
            answer: tuple[Ragged, Ragged] | str = corpus.pieces(task.examples, task.epoch, longest)
        except Exception as error:  # whatever it is, the parent reports it
            answer = f"{type(error).__name__}: {error}"
        try:
            pipe.send(answer)
        except OSError:
            return


def _end(processes: list[BaseProcess], pipes: list[Connection]) -> None:
    """Close the pipes, upon which the processes end; kill the one that does not."""
    for pipe in pipes:
        pipe.close()
    for process in processes:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
