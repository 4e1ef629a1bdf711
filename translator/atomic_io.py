"""Files that are whole or not there, whatever kills the process that writes them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a small file: beside its place, to the disk, and only then under its name; text as UTF-8."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")  # processes may write the same at once
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file or a directory to the disk; directories only where the file system supports it.

    Raises:
        OSError: if the content did not reach the disk.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)
