"""Checkpoints that every rank of a sharded run writes a part of, in the background, into a shared directory."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from translator.checkpoint import SHARDS_FOLDER, CheckpointError, not_written, shard_record
from translator.errors import shorten
from translator.training.parallel import Ranks, communication

# Writes the files of rank 0, given the record of each shard by file name
Completion = Callable[[Path, dict[str, list[int]]], None]

_CLOSE_TIMEOUT = 60.0  # seconds


class ShardedCheckpoints:
    """Writer of one checkpoint at a time, in a thread, while training continues. Called by all ranks.

    Args:
        run: run directory, shared by all ranks.
        ranks: ranks of the run.
    """

    def __init__(self, run: Path, ranks: Ranks) -> None:
        self._run = run
        self._ranks = ranks
        with communication():
            self._group = dist.new_group(backend="gloo")  # of its own, because it is used by another thread
        self._pending: concurrent.futures.Future[Any] | None = None
        self._folder = contextlib.ExitStack()  # of rank 0: the unfinished checkpoint
        self._final = run

    @property
    def has_failed(self) -> bool:
        """True if a checkpoint could not be written; `wait` raises the error."""
        return self._pending is not None and self._pending.done() and self._pending.exception() is not None

    def save(
        self,
        name: str,
        tensors: dict[str, Tensor],
        new: Callable[[], contextlib.AbstractContextManager[Path]],
        complete: Completion,
    ) -> None:
        """Copy tensors and write them in the background. Waits first until the previous checkpoint is written.

        Args:
            name: name of the checkpoint.
            tensors: sharded tensors by name.
            new: called on rank 0; a context that makes the checkpoint appear when it is left.
            complete: called on rank 0 after all shards are written, to write the other files into the folder.

        Raises:
            CheckpointError: if this checkpoint cannot be begun, or the previous one was not written.
        """
        self.wait()
        self._final = self._run / "checkpoints" / name
        folder = self._final.parent / self._ranks.on_main(lambda: self._folder.enter_context(new()).name)

        def finish(records: dict[str, list[int]]) -> None:
            complete(folder, records)
            self._folder.close()

        writer = _ShardWriter(folder / SHARDS_FOLDER, finish)
        pending = async_save(dict(tensors), storage_writer=writer, process_group=self._group)
        assert isinstance(pending, concurrent.futures.Future)
        self._pending = pending

    def wait(self) -> None:
        """Wait until the pending checkpoint is written.

        Raises:
            CheckpointError: if it was not, on every rank.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        with self._ranks.together():
            error = pending.exception()
            if error is not None:
                with contextlib.suppress(type(error)):
                    self._folder.__exit__(type(error), error, error.__traceback__)  # deletes what was written
                raise not_written(self._final, _reason(error)) from error

    def close(self) -> None:
        """Wait for the pending checkpoint without the other ranks, in whatever state they are."""
        if self._pending is not None:
            concurrent.futures.wait([self._pending], _CLOSE_TIMEOUT)


def read_shards(checkpoint: Path, tensors: dict[str, Tensor]) -> None:
    """Fill sharded tensors from the shards that any number of ranks wrote. Called by all ranks.

    Args:
        checkpoint: checkpoint whose shards are intact.
        tensors: sharded tensors by name, filled in place.

    Raises:
        CheckpointError: if the shards lack a tensor, or have it in another shape.
    """
    try:
        with communication():
            load(dict(tensors), storage_reader=HuggingFaceStorageReader(str(checkpoint / SHARDS_FOLDER)))
    except CheckpointException as error:
        raise CheckpointError(
            f"Shards must be those of the model of their configuration. Received: {checkpoint} ({_reason(error)}). "
            "Delete this checkpoint to resume from an older one, or choose another output."
        ) from error


class _ShardWriter(HuggingFaceStorageWriter):
    """Writer of one file per rank, which rank 0 records the size and the checksum of.

    Args:
        folder: folder of the shards.
        finish: called on rank 0 after all ranks have written, with the record of each file by name. If it fails, the
            checkpoint fails on all ranks.
    """

    def __init__(self, folder: Path, finish: Callable[[dict[str, list[int]]], None]) -> None:
        super().__init__(str(folder), save_distributed=True)
        self._folder = folder
        self._finish = finish

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write the file of this rank."""
        future = super().write_data(plan, planner)
        results = future.wait()
        names = {result.storage_data.relative_path for result in results}
        records = {name: shard_record(self._folder / name) for name in names}
        for result in results:
            result.storage_data.record = records[result.storage_data.relative_path]
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Complete the checkpoint, on rank 0."""
        written = [result.storage_data for rank in results for result in rank]
        self._finish({data.relative_path: data.record for data in written})


def _reason(error: BaseException) -> str:
    """Return the errors of the ranks in one line."""
    if not isinstance(error, CheckpointException):
        return shorten(str(error))
    return "; ".join(f"rank {rank}: {shorten(str(reason))}" for rank, (reason, _) in error.failures.items())
