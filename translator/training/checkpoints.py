"""The checkpoints of a run: which are written, linked, kept and averaged."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from translator.checkpoint import (
    average_weights,
    check_shards,
    follow,
    new_checkpoint,
    point,
    prune,
    read_training_state,
    step_checkpoints,
    step_of,
    write_checkpoint,
    write_files,
)
from translator.config import TrainingConfig
from translator.tokenizer import Tokenizers


class RunCheckpoints:
    """The checkpoints in a run directory. Only rank 0 uses them.

    Regular checkpoints are those that every uninterrupted run of a configuration writes: each `save_every` steps and
    after the final step. Others are written because a run was interrupted or a validation was the best so far.

    Args:
        run: run directory.
        options: the options `save_every`, `max_steps` and `keep_last` are read.
        tokenizers: tokenizers of the run.
    """

    def __init__(self, run: Path, options: TrainingConfig, tokenizers: Tokenizers) -> None:
        self._run = run
        self._options = options
        self._tokenizers = tokenizers
        self._early_stop: int | None = None

    def stop_early(self, step: int) -> None:
        """Declare that `step` is the final one, so that its checkpoint is a regular one."""
        self._early_stop = step

    def regular(self) -> list[Path]:
        """Return the regular checkpoints, oldest first."""
        final = (self._options.max_steps, self._early_stop)
        return [
            path
            for path in step_checkpoints(self._run)
            if step_of(path) % self._options.save_every == 0 or step_of(path) in final
        ]

    @contextlib.contextmanager
    def new(self, step: int, *, is_best: bool, needed: Sequence[int | None] = ()) -> Iterator[Path]:
        """Yield a folder for the files of a checkpoint. At the end of the block, it appears under its name.

        `last` then points to it, and `best` if it is the best, and old checkpoints are deleted.

        Args:
            step: number of optimizer steps done.
            is_best: whether its validation result is the best so far.
            needed: steps whose checkpoints are kept as well.

        Raises:
            CheckpointError: if the checkpoint cannot be written.
        """
        with new_checkpoint(self._run, f"step-{step}") as folder:
            yield folder
        checkpoint = self._run / "checkpoints" / f"step-{step}"
        point(self._run, "last", checkpoint)
        if is_best:
            point(self._run, "best", checkpoint)
        prune(self._run, [*self.regular()[-self._options.keep_last :], *map(self._path, needed)])

    def write(self, folder: Path, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Write the files of a checkpoint into a folder.

        Args:
            folder: folder that `new` made.
            weights: weights that validate and decode.
            state: training state.
        """
        write_files(folder, weights, self._tokenizers, state)

    def save(
        self,
        step: int,
        weights: dict[str, Tensor],
        state: dict[str, Any],
        *,
        is_best: bool,
        needed: Sequence[int | None] = (),
    ) -> None:
        """Write a checkpoint; arguments and errors as in `new` and `write`."""
        with self.new(step, is_best=is_best, needed=needed) as folder:
            self.write(folder, weights, state)

    def go_back(self, step: int) -> tuple[dict[str, Any], str]:
        """Delete the checkpoints after a step, and return the training state of that step and where it is.

        Raises:
            CheckpointError: if it is missing or damaged.
        """
        state = read_training_state(self._path(step))
        check_shards(self._path(step), state)
        for path in step_checkpoints(self._run):
            if step_of(path) > step:
                shutil.rmtree(path)
        self.restore_links(step, state["progress"]["best_step"])
        return state, str(self._path(step))

    def restore_links(self, step: int, best_step: int | None) -> None:
        """Make `last` and `best` point where a run stood after a step, if they were lost or the run was killed.

        Args:
            step: step that the run resumes from.
            best_step: step of the best validation; None if there is none or an earlier version did not store it.
        """
        for name, target in (("last", step), ("best", best_step)):
            checkpoint = self._path(target)
            current = follow(self._run, name)
            is_stale = current is None or (current in step_checkpoints(self._run) and step_of(current) != target)
            if checkpoint.is_dir() and is_stale:
                point(self._run, name, checkpoint)

    def _path(self, step: int | None) -> Path:
        return self._run / "checkpoints" / f"step-{step}"

    def average(self, count: int) -> tuple[dict[str, Tensor], int]:
        """Return the mean of the weights of the last regular checkpoints, and their number."""
        averaged = self.regular()[-count:]
        return average_weights(averaged), len(averaged)

    def save_average(self, weights: dict[str, Tensor]) -> Path:
        """Write averaged weights as the checkpoint `average`."""
        return write_checkpoint(self._run, "average", weights, self._tokenizers)

    def point_best(self, checkpoint: Path) -> None:
        """Make `best` point to a checkpoint."""
        point(self._run, "best", checkpoint)
