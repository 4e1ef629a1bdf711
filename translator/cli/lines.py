"""Reading and writing of lines: N lines in, N lines out, and no line is held back until the next one arrives.

A line ends at "\\n" only. A "\\r" before it is part of the line end; any other "\\r" stays in the text.
"""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from translator.cli.streams import DescriptorReader
from translator.errors import UserError
from translator.file_input import utf8_stream

WINDOW_LINES = 1000  # processed together, sorted by length
IDLE_SECONDS = 0.06  # a pause after which the writer may be waiting for the answer
MAX_DELAY_SECONDS = 0.5  # longest wait for further lines if the writer is slow


class LineError(UserError):
    """Lines that are missing or not of the required form."""


def read_windows(descriptor: int) -> Iterator[list[str]]:
    """Yield the lines of a file descriptor in windows of up to `WINDOW_LINES`.

    An incomplete window is yielded if nothing arrives for `IDLE_SECONDS` or if its first line is
    `MAX_DELAY_SECONDS` old. The text may be UTF-16 or compressed, see `utf8_stream`. Bytes that are not UTF-8 become
    lone surrogates (`surrogateescape`).

    Raises:
        LineError: if the input is not text, is damaged or cannot be read.
    """
    try:
        yield from _windows(descriptor)
    except OSError as error:
        raise LineError(f"The input must be readable text. Received: {error.strerror}.") from error


def read_text(descriptor: int) -> str:
    """Return all text of a file descriptor, decoded as in `read_windows`, with its line ends.

    Raises:
        LineError: if the input is not text, is damaged or cannot be read.
    """
    try:
        return utf8_stream(DescriptorReader(descriptor)).read().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise LineError(f"The input must be readable text. Received: {error.strerror}.") from error


def _windows(descriptor: int) -> Iterator[list[str]]:
    stream = utf8_stream(DescriptorReader(descriptor))
    lines: list[str] = []
    unfinished: list[bytes] = []  # chunks of a line whose end has not arrived
    deadline = 0.0
    while True:
        if lines and not _is_ready_before(deadline, descriptor):
            yield lines
            lines = []
        chunk = stream.read1()
        if not chunk:
            break
        if not lines:
            deadline = time.monotonic() + MAX_DELAY_SECONDS
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            lines.append(decode_line(b"".join((*unfinished, line))))
            unfinished = []
            if len(lines) == WINDOW_LINES:
                yield lines
                lines, deadline = [], time.monotonic() + MAX_DELAY_SECONDS
        if rest:
            unfinished.append(rest)
    if unfinished:
        lines.append(decode_line(b"".join(unfinished)))
    if lines:
        yield lines


def _is_ready_before(deadline: float, descriptor: int) -> bool:
    """Return True if more input, or its end, arrives before the deadline and without a pause."""
    left = deadline - time.monotonic()
    return left > 0 and bool(select.select([descriptor], [], [], min(IDLE_SECONDS, left))[0])


def decode_line(line: bytes) -> str:
    """Return a line, without its line feed, as text; bytes that are not UTF-8 become lone surrogates."""
    return line.removesuffix(b"\r").decode("utf-8", "surrogateescape")


def write_line(file: BinaryIO, line: str) -> None:
    """Write one line, in UTF-8 in every locale; a byte of a file name that is not UTF-8 as a backslash escape."""
    file.write(line.encode("utf-8", "backslashreplace") + b"\n")


def to_json(value: dict[str, Any]) -> str:
    """Return a JSON object on one line, also for readers that end lines at U+0085, U+2028 and U+2029."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.replace("\x85", "\\u0085").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
