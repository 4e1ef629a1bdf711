"""Run directories: checkpoints that are complete or absent, the links `best` and `last`, and the lock of a run.

    config.yaml  tokenizer.model  metrics.jsonl  README.md
    checkpoints/step-N/{model.safetensors, training_state.pt}
    best -> checkpoints/step-N    last -> checkpoints/step-N

A checkpoint is written under a temporary name, synced to the disk and renamed. Loading one never runs code: weights
are safetensors and the training state is read with `weights_only=True`.
"""

from __future__ import annotations

import contextlib
import fcntl
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from translator.atomic_io import sync
from translator.checkpoint.weights import WEIGHTS_FILE, CheckpointError, save_weights
from translator.tokenizer import Tokenizers

CONFIG_FILE = "config.yaml"
STATE_FILE = "training_state.pt"
CARD_FILE = "README.md"


def write_checkpoint(
    run: Path, name: str, weights: Mapping[str, Tensor], tokenizers: Tokenizers, state: dict[str, Any] | None = None
) -> Path:
    """Write `checkpoints/name` atomically.

    Args:
        run: run directory.
        name: `step-N`, or `average`.
        weights: tensors by name; stored as float32.
        tokenizers: tokenizers that the weights were trained with.
        state: training state, if training can resume from this checkpoint.

    Raises:
        CheckpointError: if the disk is full or not writable; earlier checkpoints are untouched.
    """
    final = run / "checkpoints" / name
    temporary = final.with_name(f".{name}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_weights(temporary / WEIGHTS_FILE, weights, tokenizers.fingerprint)
        if state is not None:
            torch.save(state, temporary / STATE_FILE)
        for file in temporary.iterdir():
            sync(file)
        sync(temporary)
        if final.exists():  # left by a run that was killed before it linked to it
            shutil.rmtree(final)
        temporary.rename(final)
        sync(final.parent)
    except (OSError, SafetensorError, RuntimeError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            f"A checkpoint could not be written to {final}: {error}. Earlier checkpoints are untouched. "
            "Free some space or make the directory writable, then run the same command again."
        ) from error
    return final


def read_training_state(checkpoint: Path) -> dict[str, Any]:
    """Return the training state of a checkpoint.

    Raises:
        CheckpointError: if it is missing or damaged.
    """
    try:
        state: dict[str, Any] = torch.load(checkpoint / STATE_FILE, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"Training resumes from a complete {STATE_FILE}. Received: {checkpoint / STATE_FILE} ({error}). "
            f"Delete {checkpoint} and point `last` at an older checkpoint, or start again in an empty directory."
        ) from error
    return state


def point(run: Path, name: str, checkpoint: Path) -> None:
    """Make the link `name` (`best` or `last`) point to a checkpoint, atomically."""
    temporary = run / f".{name}.partial"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(checkpoint.relative_to(run))
    temporary.replace(run / name)
    sync(run)


def step_of(checkpoint: Path) -> int:
    """Return the optimizer step of `…/step-N`."""
    return int(checkpoint.name.removeprefix("step-"))


def step_checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    found = [path for path in (run / "checkpoints").glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=step_of)


def prune(run: Path, kept: Sequence[Path]) -> None:
    """Delete all checkpoints but `kept` and those that `best` and `last` point to."""
    needed = {path.resolve() for path in (*kept, run / "best", run / "last")}
    for checkpoint in step_checkpoints(run):
        if checkpoint.resolve() not in needed:
            shutil.rmtree(checkpoint)


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold an exclusive lock on a run directory; the lock ends with the process, however that ends.

    Raises:
        CheckpointError: if another process holds it, or the directory cannot be created or written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / ".lock").open("w")
    except OSError as error:
        raise CheckpointError(f"output must be a writable directory. Received: {run} ({error.strerror}).") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CheckpointError(f"{run} is locked by another run. Stop that run or choose another output.") from error
        yield


def locate_weights(path: Path) -> tuple[Path, Path]:
    """Return the folder with configuration and tokenizer, and the weights file, of a run, checkpoint or bundle.

    Raises:
        CheckpointError: if the path is none of these.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise CheckpointError(f"A model must be a directory. Received: {path}, which {what}.")
    if (path / CONFIG_FILE).exists() and (path / WEIGHTS_FILE).exists():
        return path, path / WEIGHTS_FILE
    if (path / CONFIG_FILE).exists():
        for link in ("best", "last"):
            if (path / link).exists():
                return path, path / link / WEIGHTS_FILE
        raise CheckpointError(
            f"A model directory must have {WEIGHTS_FILE}, or a best or last checkpoint. Received: {path}, with "
            "neither. Train it first, or restore the file."
        )
    home = path.resolve().parent.parent
    if (path / WEIGHTS_FILE).exists() and (home / CONFIG_FILE).exists():
        return home, path / WEIGHTS_FILE
    raise CheckpointError(
        f"A model directory must have {CONFIG_FILE} and checkpoints, or {CONFIG_FILE}, a tokenizer and {WEIGHTS_FILE}. "
        f"Received: {path}, with {', '.join(sorted(entry.name for entry in path.iterdir())[:8]) or 'nothing'}."
    )
