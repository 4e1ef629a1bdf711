"""Rows of different lengths in flat arrays: in memory, and in files that are mapped instead of loaded.

A corpus of any size costs the same memory: it is written as it streams by, and read through memory maps whose pages
are given back after use.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from translator.atomic_io import sync
from translator.data.files import DataError

IntArray = np.ndarray[Any, np.dtype[Any]]

_WRITE_BUFFER = 1 << 20  # bytes
# One random read maps up to 64 KiB around it. Reading so many rows at a time bounds what is mapped at once.
_ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, end to end.

    Attributes:
        values: `(num_values,)`; row i is `values[offsets[i]:offsets[i + 1]]`.
        offsets: `(num_rows + 1,)` int64, starts at 0.
    """

    values: IntArray
    offsets: IntArray

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[int] | IntArray], dtype: Any) -> Ragged:
        """Rows laid end to end."""
        lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        values = np.concatenate([np.asarray(row, dtype) for row in rows]) if rows else np.empty(0, dtype)
        return cls(values, offsets_of(lengths))

    @classmethod
    def of_lengths(cls, values: IntArray, lengths: IntArray) -> Ragged:
        """Split values into rows of these lengths."""
        return cls(values, offsets_of(lengths))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> IntArray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> IntArray:
        """Values in each row: `(num_rows,)` int64."""
        return np.diff(self.offsets)

    def take(self, rows: IntArray) -> Ragged:
        """These rows, in this order."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        return Ragged(self.values[_flat_index(starts, lengths)], offsets_of(lengths))

    def append(self, other: Ragged) -> Ragged:
        """The rows of both, one after the other."""
        values = np.concatenate([self.values, other.values])
        return Ragged(values, np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]]))


def offsets_of(lengths: IntArray) -> IntArray:
    """Offsets of rows with these lengths: `(num_rows,)` to `(num_rows + 1,)` int64."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _flat_index(starts: IntArray, lengths: IntArray) -> IntArray:
    """Where the values of rows are that start and end there: `(sum of lengths,)` int64."""
    offsets = offsets_of(lengths)
    index: IntArray = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return index


class MappedArray:
    """A flat array in a file, read through a memory map.

    Attributes:
        path: the file.
        dtype: of its values.
    """

    def __init__(self, path: Path, dtype: Any) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self._map: mmap.mmap | None = None
        if path.stat().st_size:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.values: IntArray = np.frombuffer(self._map or b"", self.dtype)

    def __reduce__(self) -> tuple[type[MappedArray], tuple[Path, Any]]:
        return MappedArray, (self.path, self.dtype)

    def __len__(self) -> int:
        return len(self.values)

    def release(self) -> None:
        """Give mapped pages back; they stay in the system's file cache, not in this process's memory."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


class MappedRagged:
    """Rows of different lengths in two files: `NAME.values` and `NAME.offsets`."""

    def __init__(self, folder: Path, name: str, dtype: Any) -> None:
        self._values = MappedArray(folder / f"{name}.values", dtype)
        self._offsets = MappedArray(folder / f"{name}.offsets", np.int64)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def take(self, rows: IntArray) -> Ragged:
        """Copy these rows, in this order, into memory."""
        lengths = np.empty(len(rows), np.int64)
        parts = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            starts = self._offsets.values[some]
            lengths[start : start + len(some)] = self._offsets.values[some + 1] - starts
            parts.append(self._values.values[_flat_index(starts, lengths[start : start + len(some)])])
            self.release()
        values = np.concatenate(parts) if parts else np.empty(0, self._values.dtype)
        return Ragged(values, offsets_of(lengths))

    def lengths(self, rows: slice) -> IntArray:
        """Values in each of a run of rows: `(num_rows,)` int64."""
        lengths = np.diff(self._offsets.values[rows.start : rows.stop + 1])
        self._offsets.release()
        return lengths

    def release(self) -> None:
        """Give mapped pages back."""
        self._values.release()
        self._offsets.release()


class RaggedWriter:
    """Writes the two files of a `MappedRagged` as rows come."""

    def __init__(self, folder: Path, name: str) -> None:
        self._values = (folder / f"{name}.values").open("wb", _WRITE_BUFFER)
        self._offsets = (folder / f"{name}.offsets").open("wb", _WRITE_BUFFER)
        self._offsets.write(np.zeros(1, np.int64).tobytes())
        self._end = 0

    def __enter__(self) -> RaggedWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._values.close()
        self._offsets.close()

    def write(self, values: bytes, lengths: IntArray) -> None:
        """Append rows: their values as bytes, and how many values each has."""
        self._values.write(values)
        ends = self._end + np.cumsum(lengths, dtype=np.int64)
        if len(ends):
            self._offsets.write(ends.tobytes())
            self._end = int(ends[-1])


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """A folder of the cache, built if it is not there; it appears whole or not at all.

    Several processes may ask for it at once: one builds, the others wait, and where locks do not work they build the
    same and the first one finished is kept.

    Args:
        folder: what is wanted.
        build: writes the content into the empty folder that it is given.

    Raises:
        DataError: the cache cannot be written.
    """
    if folder.exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_name(folder.name + ".lock")) as is_locked:
            if not folder.exists():
                _build(folder, build, clear=is_locked)
    except OSError as error:
        raise DataError(
            f"data.cache must be a folder that can be written. Received: {folder.parent} ({error.strerror}). "
            "Set data.cache to another."
        ) from error
    return folder


def _build(folder: Path, build: Callable[[Path], None], clear: bool) -> None:
    """Build beside the folder, then move into place; `clear` removes what killed builds left."""
    if clear:
        for leftover in folder.parent.glob(f".{folder.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        temporary.chmod(0o755)  # as any folder: caches are shared
        build(temporary)
        for path in temporary.iterdir():
            sync(path)  # its content reaches the disk before its name does
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster, and its folder is the same
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold a lock file, if the file system has locks: some network file systems do not."""
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            is_locked = True
        except OSError:
            is_locked = False
        yield is_locked
