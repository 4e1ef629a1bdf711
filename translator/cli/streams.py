"""Input and output of the command line: complete writes, pipes that block or not, closed and special descriptors."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import select
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from translator.errors import UserError
from translator.file_input import expand_user

_DESCRIPTOR_PATH = re.compile(r"/(?:dev|proc/(?:self|thread-self|[0-9]+))/fd/([0-9]+)")
_STANDARD_PATHS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MAX_LINKS = 40  # as in the Linux kernel


class StreamError(UserError):
    """Input or output that cannot be opened as requested."""


class DescriptorWriter(io.RawIOBase):
    """Raw output to an open descriptor: each write writes all its bytes or raises.

    `os.write` may write fewer bytes than it was given, and fails at once where a non-blocking pipe is full. Closing
    the writer leaves the descriptor open.

    Args:
        descriptor: open file descriptor to write to.
        is_diagnostic: drop what cannot be written, except that a closed pipe raises BrokenPipeError. For standard
            error: a full disk there must not end the work.
    """

    def __init__(self, descriptor: int, *, is_diagnostic: bool = False) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._is_diagnostic = is_diagnostic
        self._is_discarding = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return True if the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def discard(self) -> None:
        """Drop everything written from now on."""
        self._is_discarding = True

    def write(self, data: Any) -> int:
        """Write all of `data` and return its number of bytes."""
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view) and not self._is_discarding:
            try:
                written += os.write(self._descriptor, view[written:])
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as error:
                if not self._is_diagnostic or error.errno == errno.EPIPE:
                    raise
                break
        return len(view)


def discard_output() -> None:
    """Drop what standard output still buffers: its reader is gone, or does not read and would delay the exit."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, DescriptorWriter):
        raw.discard()


class DescriptorReader(io.RawIOBase):
    """Raw input from an open descriptor, which is waited for even if it is non-blocking.

    Closing the reader leaves the descriptor open.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is available into `buffer`, at least one byte before the end; return the number of bytes."""
        while True:
            try:
                return os.readv(self._descriptor, [buffer])
            except BlockingIOError:
                select.select([self._descriptor], [], [])


@contextmanager
def standard_streams() -> Iterator[None]:
    """Make `sys.stdout` and `sys.stderr` write completely for as long as the context lasts.

    Standard output is UTF-8 in every locale. Descriptors 0 to 2 that were closed are occupied, so that no file opened
    later takes their number and receives messages. A closed standard error becomes a stream that drops everything:
    `print(file=None)` would write to standard output.
    """
    _occupy_closed_descriptors()
    previous = sys.stdout, sys.stderr
    sys.stdout = _completely_written(sys.stdout, "utf-8")
    if sys.stderr is None:
        sys.stderr = _text_stream(2, "utf-8", is_diagnostic=True)
    else:
        sys.stderr = _completely_written(sys.stderr, sys.stderr.encoding, is_diagnostic=True)
    try:
        yield
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        sys.stdout, sys.stderr = previous


def _occupy_closed_descriptors() -> None:
    """Open the null device at each of 0, 1 and 2 that is closed, in the mode in which the stream is not used."""
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)


def _completely_written(stream: TextIO, encoding: str, *, is_diagnostic: bool = False) -> TextIO:
    """Return a text stream with the same descriptor through `DescriptorWriter`; `stream` itself if it has none."""
    if stream is None:
        return stream
    try:
        descriptor = stream.fileno()
    except (io.UnsupportedOperation, ValueError):  # a stream in memory, such as a test's
        return stream
    stream.flush()
    return _text_stream(descriptor, encoding, is_diagnostic=is_diagnostic)


def _text_stream(descriptor: int, encoding: str, *, is_diagnostic: bool) -> TextIO:
    raw = DescriptorWriter(descriptor, is_diagnostic=is_diagnostic)
    is_line_buffered = is_diagnostic or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=is_line_buffered)


@contextmanager
def open_input(path: str | None) -> Iterator[int]:
    """Yield a descriptor to read from: of the file, or of standard input if `path` is None.

    A path that names an open descriptor, such as /dev/stdin or /dev/fd/3, is read from its current offset.

    Raises:
        StreamError: if it cannot be read.
    """
    if path is None:
        if sys.stdin is None:
            raise StreamError("Standard input is closed. Give --input.")
        yield sys.stdin.fileno()
        return
    try:
        descriptor = _named_descriptor(path)
        if descriptor is not None:
            _require_mode(descriptor, os.O_RDONLY)
            os.read(descriptor, 0)
            yield descriptor
            return
        file = expand_user(path).open("rb", buffering=0)
        file.read(0)
    except OSError as error:
        raise StreamError(f"An input must be a readable file. Received: {path} ({error.strerror}).") from error
    with file:
        yield file.fileno()


@contextmanager
def open_output(path: str | None, sources: Sequence[int]) -> Iterator[BinaryIO]:
    """Yield a binary file to write to: standard output, or a file that appears under its name when it is complete.

    A file that is replaced keeps its mode and, where permitted, its owner. Devices, pipes and paths of open
    descriptors, such as /dev/stdout or /dev/fd/3, are written in place: from the current offset, or appended.

    Args:
        path: name of the file, or None for standard output.
        sources: descriptors that are read meanwhile.

    Raises:
        StreamError: if it is read meanwhile, or cannot be written.
    """
    descriptor = 1 if path is None else _named_descriptor(path)
    if descriptor == 1:
        if sys.stdout is None:
            raise StreamError("Standard output is closed. Give --output.")
        with suppress(io.UnsupportedOperation):
            _refuse_reading(os.fstat(sys.stdout.fileno()), sources, path or "standard output")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif descriptor is not None:
        assert path is not None
        with _open_descriptor(descriptor, path, sources) as file:
            yield file
    else:
        assert path is not None
        with full_disk_named(path), _open_file(path, sources) as file:
            yield file


@contextmanager
def full_disk_named(path: str) -> Iterator[None]:
    """Name the output in the error for a disk that has no room for it.

    Raises:
        StreamError: if the context raises such an error.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename is not None:
            raise
        raise StreamError(
            f"--output must have room on its disk. Received: {path} ({error.strerror}). Free some space, then run the "
            "same command again."
        ) from error


@contextmanager
def _open_descriptor(descriptor: int, path: str, sources: Sequence[int]) -> Iterator[BinaryIO]:
    """Yield a file that writes to an open descriptor and leaves it open."""
    try:
        _require_mode(descriptor, os.O_WRONLY)
    except OSError as error:
        raise unwritable(path, error) from error
    _refuse_reading(os.fstat(descriptor), sources, path)
    raw = DescriptorWriter(descriptor)
    file = io.BufferedWriter(raw)
    try:
        yield cast(BinaryIO, file)
        file.flush()
    finally:
        raw.discard()  # after an error, collecting the buffer must neither write nor block


@contextmanager
def _open_file(path: str, sources: Sequence[int]) -> Iterator[BinaryIO]:
    """Yield a new file that takes its name when it is complete, or a device or pipe."""
    final = expand_user(path)
    if final.exists() and not final.is_file():
        try:
            special = final.open("wb")
        except OSError as error:
            raise unwritable(path, error) from error
        with special:
            yield special
        return
    final = final.resolve()  # a link stays a link; its target is replaced
    partial = final.with_name(f"{final.name}.partial")
    for place in (final, partial):
        if place.exists():
            _refuse_reading(
                place.stat(), sources, path if place == final else f"{path}, written as {place.name} until complete"
            )
    try:
        file = _open_partial(partial, final)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        with file:
            yield file
    except BaseException:  # raised again, also after Ctrl-C: what was written stays, an empty file does not
        if not partial.stat().st_size:
            partial.unlink()
        raise
    partial.replace(final)


def _open_partial(partial: Path, final: Path) -> BinaryIO:
    """Open the file that will replace `final`, with the mode and owner of `final` before anything is written."""
    if not final.exists():
        return partial.open("wb")
    if not os.access(final, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    old = final.stat()
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    return os.fdopen(descriptor, "wb")


def _named_descriptor(path: str) -> int | None:
    """Return the number of the open descriptor that a path names, also through links; None for any other path.

    Opening such a path would open the file behind it anew: at its beginning, without its append mode.
    """
    name = os.path.abspath(path)  # noqa: PTH100  (Path.resolve follows the links that must be seen)
    for _ in range(_MAX_LINKS):
        if name in _STANDARD_PATHS:
            return _STANDARD_PATHS[name]
        if match := _DESCRIPTOR_PATH.fullmatch(name):
            owner = name.split("/")[2]
            return int(match[1]) if owner in ("fd", "self", "thread-self", str(os.getpid())) else None
        link = Path(name)
        if not link.is_symlink():
            return None
        name = os.path.abspath(link.parent / link.readlink())  # noqa: PTH100
    return None


def _require_mode(descriptor: int, mode: int) -> None:
    """Raise OSError if the descriptor is closed or not open in this mode."""
    found = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    if found not in (mode, os.O_RDWR):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _refuse_reading(output: os.stat_result, sources: Sequence[int], received: str) -> None:
    """Raise StreamError if the output is a regular file that is read meanwhile."""
    if stat.S_ISREG(output.st_mode) and any(os.path.samestat(output, os.fstat(source)) for source in sources):
        raise StreamError(f"--output must not be the file that is read. Received: {received}.")


def unwritable(path: str, error: OSError) -> StreamError:
    """Return the error to raise if an output cannot be opened."""
    return StreamError(
        f"--output must be a writable file. Received: {path} ({error.strerror}). "
        "Give a file in a folder that exists and can be written."
    )
