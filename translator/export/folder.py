"""Folders that are complete or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from translator.errors import UserError


class ExportError(UserError):
    """A model that cannot be exported or imported."""


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder, which becomes `folder` at the end of the block, or is deleted if the block fails.

    Args:
        folder: folder to write, which must be absent or empty.

    Raises:
        ExportError: if the folder is not empty or cannot be written.
    """
    is_empty = folder.is_dir() and folder.name and not any(folder.iterdir())  # `.` has no name and cannot be replaced
    if folder.exists() and not is_empty:
        raise ExportError(f"A model must be written to a new folder. Received: {folder}, which exists.")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(folder)
    except OSError as error:
        raise ExportError(f"{folder} could not be written: {error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
