"""Lines in and lines out: the contract that as many come out as went in, and that none waits for the next.

A line ends at "\\n" and nowhere else. A "\\r" before it belongs to the line end; any other stays in the text.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from translator.config import UserError

WINDOW_LINES = 1000  # sorted by length together
IDLE_SECONDS = 0.06  # the writer has paused: it may be waiting for us
PATIENCE_SECONDS = 0.5  # the writer is slow: it gets what it has sent


class LineError(UserError):
    """Input or output that cannot be used as asked."""


def read_windows(descriptor: int) -> Iterator[list[str]]:
    """The lines of a file descriptor in groups of up to `WINDOW_LINES`.

    A group is given out before it is full when nothing has come for `IDLE_SECONDS`, or its first line is
    `PATIENCE_SECONDS` old. Bytes that are not UTF-8 become lone surrogates (`surrogateescape`).
    """
    lines: list[str] = []
    beginning: list[bytes] = []  # of a line whose end has not come
    deadline = 0.0
    while True:
        if lines and not _comes_before(deadline, descriptor):
            yield lines
            lines = []
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            break
        if not lines:
            deadline = time.monotonic() + PATIENCE_SECONDS
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            lines.append(_text(b"".join((*beginning, line))))
            beginning = []
            if len(lines) == WINDOW_LINES:
                yield lines
                lines, deadline = [], time.monotonic() + PATIENCE_SECONDS
        if rest:
            beginning.append(rest)
    if beginning:
        lines.append(_text(b"".join(beginning)))
    if lines:
        yield lines


def _comes_before(deadline: float, descriptor: int) -> bool:
    """Whether there is more to read, or the end, before the deadline and without a pause."""
    left = deadline - time.monotonic()
    return left > 0 and bool(select.select([descriptor], [], [], min(IDLE_SECONDS, left))[0])


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "surrogateescape")


@contextmanager
def open_input(path: str | None) -> Iterator[int]:
    """A descriptor to read from: of the file, or of standard input.

    Raises:
        LineError: it cannot be read.
    """
    if path is None:
        if sys.stdin is None:
            raise LineError("There must be something to read. Received: a closed standard input. Give --input.")
        yield sys.stdin.fileno()
        return
    try:
        file = Path(path).expanduser().open("rb", buffering=0)
        file.read(0)
    except OSError as error:
        raise LineError(f"An input must be a readable file. Received: {path} ({error.strerror}).") from error
    with file:
        yield file.fileno()


@contextmanager
def open_output(path: str | None, sources: list[int]) -> Iterator[BinaryIO]:
    """Where to write: standard output, or a file that appears under its name when all is written.

    Args:
        path: the file, or none for standard output.
        sources: descriptors that are read meanwhile.

    Raises:
        LineError: it is read meanwhile, or cannot be written.
    """
    if path is None:
        if sys.stdout is None:
            raise LineError("There must be somewhere to write. Received: a closed standard output. Give --output.")
        yield sys.stdout.buffer
        return
    final = Path(path).expanduser()
    is_special = final.exists() and not final.is_file()  # /dev/null, a named pipe
    if not is_special:
        final = final.resolve()  # a link stays one, and what it points at is written
    partial = final if is_special else final.with_name(f"{final.name}.partial")
    for place in (final, partial):
        if place.exists() and any(os.path.samestat(place.stat(), os.fstat(source)) for source in sources):
            received = path if place == final else f"{path}, which is {place.name} until it is whole"
            raise LineError(f"--output must not be the file that is read. Received: {received}.")
    try:
        file = partial.open("wb")
    except OSError as error:
        raise LineError(f"--output must be a file that can be written. Received: {path} ({error.strerror}).") from error
    with file:
        yield file
    if not is_special:
        partial.replace(final)


def write_line(file: BinaryIO, line: str) -> None:
    """One line, in UTF-8 whatever the locale."""
    file.write(line.encode("utf-8") + b"\n")


def to_json(value: dict[str, Any]) -> str:
    """A JSON object on one line, also for readers that end lines at U+2028 and its like."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.replace("\x85", "\\u0085").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
