"""Atomic, durable writes of files and folders: complete or absent, even if the process is killed."""

from __future__ import annotations

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write a small file atomically. A str is encoded as UTF-8."""
    temporary = _temporary_name(path)
    try:
        with naming(path), temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name a file in an OSError that names none, such as that of a write to an open file on a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def new_folder(folder: Path, *, is_locked: bool = False, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder, which becomes `folder` at the end of the block, or is deleted if the block fails.

    Args:
        folder: folder to write. An empty folder of this name is replaced.
        is_locked: True if no other process writes this folder. What killed processes left of it is then deleted.
        replace: True to replace a folder that is not empty.

    Raises:
        OSError: if the folder cannot be written, or is not empty.
    """
    if is_locked:
        for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*partial"):
            shutil.rmtree(leftover, ignore_errors=True)
    temporary = _temporary_name(folder)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for path in temporary.iterdir():
            sync(path)  # the content must reach the disk before the name
        sync(temporary)
        if replace and folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_new(folder: Path) -> bool:
    """Return True if `new_folder` can write a folder without replacing anything."""
    if not folder.exists():
        return True
    return folder.is_dir() and bool(folder.name) and not any(folder.iterdir())  # `.` has no name: cannot be replaced


def _temporary_name(path: Path) -> Path:
    """Return a name beside `path` that no other thread, process or host uses."""
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}.partial")


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
