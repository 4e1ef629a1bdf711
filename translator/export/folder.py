"""The folder of an exported model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from translator.atomic_io import is_new, new_folder
from translator.errors import UserError


class ExportError(UserError):
    """A model that cannot be exported or imported."""


@contextmanager
def export_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `folder`; as `new_folder`.

    Args:
        folder: folder to write, which must be absent or empty.

    Raises:
        ExportError: if the folder is not empty or cannot be written.
    """
    if not is_new(folder):
        raise ExportError(f"A model must be written to a new folder. Received: {folder}, which exists.")
    try:
        with new_folder(folder) as temporary:
            yield temporary
    except OSError as error:
        raise ExportError(f"{folder} could not be written: {error}.") from error
