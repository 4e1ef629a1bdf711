"""Run directories: checkpoints that are complete or absent, and the lock of a run.

    config.yaml  tokenizer.model  metrics.jsonl  README.md
    checkpoints/step-N/{model.safetensors, training_state.pt}    and shards/, if the run is sharded
    best -> checkpoints/step-N    last -> checkpoints/step-N

A checkpoint is written under a temporary name, synced to the disk and renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from translator.atomic_io import new_folder
from translator.checkpoint.links import LINKS, follow
from translator.checkpoint.shards import check_shards
from translator.checkpoint.training_state import (
    STATE_FILE,
    StateVersionError,
    read_training_state,
    save_training_state,
)
from translator.checkpoint.weights import WEIGHTS_FILE, CheckpointError, read_weights, save_weights
from translator.tokenizer import Tokenizers

CONFIG_FILE = "config.yaml"
CARD_FILE = "README.md"

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def new_checkpoint(run: Path, name: str) -> Iterator[Path]:
    """Yield a temporary folder, which becomes `checkpoints/name` at the end of the block, or is deleted if it fails.

    The caller holds the lock of the run.

    Args:
        run: run directory.
        name: `step-N`, or `average`.

    Raises:
        CheckpointError: if the disk is full or not writable; earlier checkpoints are untouched.
    """
    final = run / "checkpoints" / name
    try:
        # Replaced is a checkpoint of a run that was killed before it linked to it.
        with new_folder(final, is_locked=True, replace=True) as temporary:
            yield temporary
    except (OSError, SafetensorError) as error:
        raise not_written(final, str(error)) from error


def not_written(checkpoint: Path, reason: str) -> CheckpointError:
    """Return the error to raise if a checkpoint cannot be written."""
    return CheckpointError(
        f"A checkpoint could not be written to {checkpoint}: {reason}. Earlier checkpoints are untouched. "
        "Free some space or make the directory writable, then run the same command again."
    )


def write_files(
    folder: Path, weights: Mapping[str, Tensor], tokenizers: Tokenizers, state: dict[str, Any] | None = None
) -> None:
    """Write the files of a checkpoint into a folder.

    Args:
        folder: existing folder.
        weights: tensors by name; stored as float32.
        tokenizers: tokenizers that the weights were trained with.
        state: training state, if training can resume from this checkpoint.
    """
    save_weights(folder / WEIGHTS_FILE, weights, tokenizers.fingerprint)
    if state is not None:
        save_training_state(folder / STATE_FILE, state)


def write_checkpoint(
    run: Path, name: str, weights: Mapping[str, Tensor], tokenizers: Tokenizers, state: dict[str, Any] | None = None
) -> Path:
    """Write `checkpoints/name` atomically. Arguments and errors as in `new_checkpoint` and `write_files`."""
    with new_checkpoint(run, name) as folder:
        write_files(folder, weights, tokenizers, state)
    return run / "checkpoints" / name


def newest_checkpoint(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest complete checkpoint of a run and its training state, whatever `best` and `last` point to.

    Checkpoints that are incomplete or damaged are passed over, with a warning. If the folder `checkpoints` was lost,
    the folders that a copying tool made of the links are used.

    Args:
        run: run directory.

    Returns:
        The checkpoint and its state; None if the directory contains no checkpoint at all.

    Raises:
        StateVersionError: if the newest complete checkpoint is of another format version.
        CheckpointError: if the directory contains checkpoints, but none that training can resume from.
    """
    copies = [run / link for link in reversed(LINKS) if (run / link).is_dir() and not (run / link).is_symlink()]
    problems: list[str] = []
    for checkpoint in (*reversed(step_checkpoints(run)), *copies):
        try:
            read_weights(checkpoint / WEIGHTS_FILE)
            state = read_training_state(checkpoint)
            check_shards(checkpoint, state)
        except StateVersionError:
            raise  # older checkpoints are of this version too
        except CheckpointError as error:
            problems.append(f"  {checkpoint}: {error}")
            continue
        for problem in problems:
            _log.warning("passed over, because it is incomplete or damaged:\n%s", problem)
        return checkpoint, state
    others = [path for path in other_checkpoints(run) if path not in copies]
    problems += [f"  {path}: not a checkpoint of a step, cannot be resumed from" for path in others]
    if problems:
        raise CheckpointError(
            f"A run must resume from a complete checkpoint, and {run} has checkpoints but none that is complete:\n"
            + "\n".join(problems)
            + "\nRestore one of them, delete them all to train from the start, or choose another output."
        )
    return None


def step_of(checkpoint: Path) -> int:
    """Return the optimizer step of `…/step-N`."""
    return int(checkpoint.name.removeprefix("step-"))


def step_checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    found = [path for path in (run / "checkpoints").glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=step_of)


def other_checkpoints(run: Path) -> list[Path]:
    """Return the entries of `checkpoints` that are not of a step, such as `average`, without unfinished ones."""
    steps = set(step_checkpoints(run))
    return sorted(path for path in (run / "checkpoints").glob("[!.]*") if path not in steps)


def prune(run: Path, kept: Sequence[Path]) -> None:
    """Delete all checkpoints but `kept` and those that `best` and `last` point to."""
    linked = [target for target in (follow(run, link) for link in LINKS) if target is not None]
    needed = {path.resolve() for path in (*kept, *linked)}
    for checkpoint in step_checkpoints(run):
        if checkpoint.resolve() not in needed:
            shutil.rmtree(checkpoint)


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold an exclusive lock on a run directory; the lock ends with the process, however that ends.

    On a file system without locks, a warning says so and the run goes on without one.

    Raises:
        CheckpointError: if another process holds it, or the directory cannot be created or written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / ".lock").open("w")
    except OSError as error:
        raise CheckpointError(
            f"output must be a writable directory. Received: {run} ({error.strerror}). Choose another output."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(f"{run} is locked by another run. Stop that run or choose another output.") from error
        except OSError as error:
            _log.warning("%s cannot be locked (%s): make sure that no other run writes to it", run, error.strerror)
        yield
