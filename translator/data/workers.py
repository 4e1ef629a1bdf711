"""Worker processes that read and tokenize examples ahead of training.

A worker has no state between tasks, so that the number of workers changes only the speed. Each worker reads tasks from
a pipe. When the parent process ends for any reason, the pipe breaks and the worker ends.

`torch.utils.data.DataLoader` is not faster (`benchmarks/data_throughput.py`). It also reports a killed worker by an
exception out of a signal handler, at any point of the training loop, and cannot move to another position without new
processes.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any, Protocol

from translator.data.store import Ragged
from translator.errors import UserError

_TASKS_PER_WORKER = 3  # pending at once; a pipe holds that many (8 KiB each)
_JOIN_TIMEOUT = 5.0  # seconds


class WorkerEndedError(UserError):
    """A worker process ended before training did, often for lack of memory."""


class WorkerError(RuntimeError):
    """An exception in a worker process."""


@dataclass(frozen=True)
class Task:
    """Examples to prepare.

    Attributes:
        epoch: epoch of subword sampling, augmentation and corruption; of a stream, the number of the chunk.
        examples: `(n,)` int64, numbers of the examples of a corpus; of a stream, the texts of each row.
    """

    epoch: int
    examples: Any


class PieceMaker(Protocol):
    """A corpus, or what tokenizes the rows of streams. It is sent to the workers."""

    def pieces(self, examples: Any, epoch: int, longest: tuple[int, int] | None = None) -> tuple[Ragged, ...]:
        """Return source and target tokens of examples, without special tokens, and the links of aligned ones."""


class WorkerPool:
    """Worker processes and their pending tasks, in order."""

    def __init__(
        self,
        corpus: PieceMaker,
        longest: tuple[int, int],
        num_workers: int,
        tasks_per_worker: int = _TASKS_PER_WORKER,
    ) -> None:
        """Start the processes.

        Args:
            corpus: corpus to read.
            longest: maximum number of tokens of a source and of a target, special tokens included.
            num_workers: number of processes.
            tasks_per_worker: number of tasks that may be pending per worker. Above 1, a pipe must hold them: a worker
                that waits to send a result reads no task.
        """
        self._capacity = tasks_per_worker * num_workers
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
        self._pending: deque[int] = deque()  # worker of each task, oldest first
        self._num_submitted = 0
        # Runs at exit before multiprocessing joins its children.
        self._finalizer = Finalize(self, _end, (self._processes, self._pipes), exitpriority=100)

    @property
    def has_capacity(self) -> bool:
        """True if the workers accept another task."""
        return len(self._pending) < self._capacity

    def submit(self, task: Task) -> None:
        """Send a task to the next worker in turn."""
        worker = self._num_submitted % len(self._processes)
        self._num_submitted += 1
        try:
            self._pipes[worker].send(task)
        except OSError as error:
            raise self._died(worker) from error
        self._pending.append(worker)

    def result(self) -> tuple[Ragged, ...]:
        """Return the rows of the oldest task, as from `PieceMaker.pieces`.

        Raises:
            WorkerEndedError: if its worker ended.
            WorkerError: if its worker raised an exception.
        """
        worker = self._pending.popleft()
        try:
            answer = self._pipes[worker].recv()
        except (OSError, EOFError) as error:
            raise self._died(worker) from error
        if isinstance(answer, str):
            raise WorkerError(f"Data worker {worker} failed: {answer}")
        rows: tuple[Ragged, ...] = answer
        return rows

    def cancel(self) -> None:
        """Drop the pending tasks."""
        while self._pending:
            self.result()

    def close(self) -> None:
        """Stop the processes."""
        self._finalizer()

    def _died(self, worker: int) -> WorkerEndedError:
        process = self._processes[worker]
        process.join(_JOIN_TIMEOUT)
        return WorkerEndedError(
            f"Data worker {worker} ended with exit code {process.exitcode} (-9: killed, often for lack of memory). "
            "Lower training.data_workers, or free memory, and resume."
        )


def _work(pipe: Connection, corpus: PieceMaker, longest: tuple[int, int]) -> None:
    """Process tasks until the pipe closes."""
    # Ctrl-C and the end of a job signal the whole process group. The parent then saves, and may need another batch.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            task: Task = pipe.recv()
        except (OSError, EOFError):
            return
        try:
            answer: tuple[Ragged, ...] | str = corpus.pieces(task.examples, task.epoch, longest)
        except Exception as error:  # of any class: the parent raises it as WorkerError
            answer = f"{type(error).__name__}: {error}"
        try:
            pipe.send(answer)
        except OSError:
            return


def _end(processes: list[BaseProcess], pipes: list[Connection]) -> None:
    """Close the pipes, which ends the processes. Kill a process that does not end."""
    for pipe in pipes:
        pipe.close()
    for process in processes:
        process.join(_JOIN_TIMEOUT)
        if process.is_alive():
            process.kill()
            process.join()
