"""Rows of different lengths in flat arrays, in memory and in memory-mapped files.

Memory use does not depend on the size of a corpus: it is written as a stream, and read through memory maps whose pages
are released after use.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from translator.atomic_io import new_folder
from translator.data.files import DataError

IntArray = np.ndarray[Any, np.dtype[Any]]

_WRITE_BUFFER = 1 << 20  # bytes
# A random read maps up to 64 KiB around it. Pages are released after this many rows.
_ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class Ragged:
    """Concatenated rows of different lengths.

    Attributes:
        values: `(num_values,)`; row i is `values[offsets[i]:offsets[i + 1]]`.
        offsets: `(num_rows + 1,)` int64, starts at 0.
    """

    values: IntArray
    offsets: IntArray

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[int] | IntArray], dtype: Any) -> Ragged:
        """Concatenate rows."""
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
        """Number of values in each row: `(num_rows,)` int64."""
        return np.diff(self.offsets)

    def take(self, rows: IntArray) -> Ragged:
        """Return these rows, in this order."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        return Ragged(self.values[_flat_index(starts, lengths)], offsets_of(lengths))

    def append(self, other: Ragged) -> Ragged:
        """Return the rows of both, one after the other."""
        values = np.concatenate([self.values, other.values])
        return Ragged(values, np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]]))


def offsets_of(lengths: IntArray) -> IntArray:
    """Return the offsets of rows with these lengths: `(num_rows,)` to `(num_rows + 1,)` int64."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _flat_index(starts: IntArray, lengths: IntArray) -> IntArray:
    """Return the indices of the values of rows: `(sum of lengths,)` int64."""
    offsets = offsets_of(lengths)
    index: IntArray = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return index


class MappedArray:
    """A flat array in a file, read through a memory map.

    Attributes:
        path: the file.
        dtype: dtype of the values.
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
        """Release mapped pages. They stay in the file cache of the system, but not in the memory of this process."""
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
        """Return the number of values in each of consecutive rows: `(num_rows,)` int64."""
        lengths = np.diff(self._offsets.values[rows.start : rows.stop + 1])
        self._offsets.release()
        return lengths

    def release(self) -> None:
        """Release mapped pages."""
        self._values.release()
        self._offsets.release()


class RaggedWriter:
    """Writer of the two files of a `MappedRagged`, row by row."""

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
        """Append rows, given their values as bytes and the number of values of each."""
        self._values.write(values)
        ends = self._end + np.cumsum(lengths, dtype=np.int64)
        if len(ends):
            self._offsets.write(ends.tobytes())
            self._end = int(ends[-1])


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, and build it if it does not exist. It appears atomically.

    If several processes call this at once, one of them builds and the others wait. On file systems without locks each
    builds the same content, and the first complete folder is kept.

    Args:
        folder: the folder.
        build: function that writes the content into an empty folder.

    Raises:
        DataError: if the cache cannot be written.
    """
    if folder.exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_name(folder.name + ".lock")) as is_locked:
            if not folder.exists():
                _build(folder, build, is_locked=is_locked)
    except OSError as error:
        raise DataError(
            f"data.cache must be a folder that can be written. Received: {folder.parent} ({error.strerror}). "
            "Set data.cache to another."
        ) from error
    return folder


def _build(folder: Path, build: Callable[[Path], None], is_locked: bool) -> None:
    try:
        with new_folder(folder, is_locked=is_locked) as temporary:
            build(temporary)
    except OSError:
        if not folder.exists():  # else another process has built the same folder
            raise


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold a lock file and yield True, or yield False if the file system has no locks."""
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            is_locked = True
        except OSError:
            is_locked = False
        yield is_locked
