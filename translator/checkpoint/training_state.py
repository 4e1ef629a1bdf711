"""Training states on disk: written once, read without running code, refused if a byte is damaged."""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from translator.checkpoint.weights import CheckpointError
from translator.errors import shorten

STATE_FILE = "training_state.pt"
STATE_VERSION = 2  # format 1 stored no version


class StateVersionError(CheckpointError):
    """A training state of another format version, from which no run can be resumed."""


def save_training_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state: a zip archive with a CRC-32 of each record, as `torch.save` makes it.

    Args:
        path: file to write.
        state: tensors and plain values.

    Raises:
        OSError: if the file cannot be written.
    """
    try:
        with path.open("wb") as file:
            torch.save({"version": STATE_VERSION, **state}, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch reports a full disk as "unexpected pos"
            raise error.__context__ from None
        raise


def read_training_state(checkpoint: Path) -> dict[str, Any]:
    """Return the training state of a checkpoint.

    Raises:
        StateVersionError: if it is of another format version.
        CheckpointError: if it is missing, damaged, or contains anything but tensors and plain values.
    """
    path = checkpoint / STATE_FILE
    try:
        _check_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # the text of this error advises to load without weights_only
        raise _unusable(path, "it contains other objects than tensors and plain values") from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError) as error:
        raise _unusable(path, shorten(str(error))) from error
    if not isinstance(state, dict):
        raise _unusable(path, f"it contains a {type(state).__name__}")
    version = state.pop("version", 1)
    if version != STATE_VERSION:
        raise StateVersionError(
            f"Training must resume from a {STATE_FILE} of format version {STATE_VERSION}. "
            f"Received: {path}, version {version}. "
            f"To reuse its weights, set training.start_from: {checkpoint} and choose another output."
        )
    return state


def _check_archive(path: Path) -> None:
    """Raise OSError if the archive is damaged; `torch.load` does not verify the CRC-32 of its records."""
    if path.exists() and not path.is_file():
        raise OSError("not a regular file")
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = [record for record in archive.infolist() if record.compress_type != zipfile.ZIP_STORED]
            damaged = None if compressed else archive.testzip()
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError) as error:
        raise OSError(f"not an intact archive: {error}") from error
    if compressed:  # a small file could fill the memory
        raise OSError(f"the record {compressed[0].filename} is compressed")
    if damaged is not None:
        raise OSError(f"the record {damaged} is damaged")


def _unusable(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"Training must resume from a complete {STATE_FILE}. Received: {path} ({reason}). "
        f"Delete {path.parent} to resume from an older checkpoint, or choose another output."
    )
