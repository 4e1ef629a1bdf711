"""A file of lines processed by several ranks: each reads a range of bytes that consists of whole windows of lines."""

from __future__ import annotations

import argparse
import codecs
import hashlib
import json
import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from translator.cli import lines
from translator.cli.lines import LineError, decode_line
from translator.cli.parts import Parts, Progress
from translator.cli.streams import open_input
from translator.file_input import UnsupportedTextError, expand_user, text_format
from translator.ranks import Rank

SAVE_SECONDS = 5.0  # between two records of progress, which is what a kill costs at most
_BLOCK_SIZE = 1 << 20
# Arguments that do not change the output, or are described by content.
_FREE_ARGUMENTS = {"input", "output", "quiet", "run", "device", "threads", "sentences", "model", "ensemble", "document"}


@dataclass(frozen=True)
class Position:
    """The beginning of a line: its offset in the file, and its number from 0."""

    offset: int
    line: int


def run_rank(
    arguments: argparse.Namespace,
    rank: Rank,
    load: Callable[[], Callable[[Sequence[str]], Sequence[Any]]],
    write: Callable[[BinaryIO, int, Any], None],
    keys: Callable[[Any], Iterable[str]],
) -> Counter[str]:
    """Process the lines of one rank; resume where it was stopped.

    Args:
        arguments: parsed arguments of a filter.
        rank: place of this process.
        load: loads the model and returns a function from texts to results.
        write: writes one result, given the output, the number of the text from 0 and the result.
        keys: returns what is counted of a result.

    Returns:
        The number of results with each key of all ranks, if this rank was the last to finish; none otherwise.

    Raises:
        LineError: if the input cannot be split.
        PartError, StreamError: if the output cannot be written in parts.
    """
    require_splittable(arguments)
    with expand_user(arguments.input).open("rb") as source:
        state = os.fstat(source.fileno())
        job = job_of(arguments, rank, state)
        parts = Parts(arguments.output, rank, job)
        if parts.is_joined():
            _say(arguments, rank, f"{arguments.output} is complete; delete it to start again")
            return Counter()
        with parts.opened() as (output, known):
            if known is None:
                start, stop = window_range(source, rank)
                progress = Progress(job, start.offset, stop.offset, start.line)
            else:
                progress = known
                _say(arguments, rank, f"resuming at byte {known.input_offset:,}; its part ends at {known.stop:,}")
            if progress.input_offset < progress.stop:
                choose_rank_device(arguments, rank)
                progress = _process(source, output, progress, parts, load(), write, keys)
            progress = parts.save(output, replace(progress, is_finished=True))
            _require_unchanged(arguments.input, source, state)
            counts = parts.finish(progress)
    if counts is None:
        _say(arguments, rank, f"finished; the last of the ranks to finish writes {arguments.output}")
        return Counter()
    return counts


def _process(
    source: BinaryIO,
    output: BinaryIO,
    progress: Progress,
    parts: Parts,
    process: Callable[[Sequence[str]], Sequence[Any]],
    write: Callable[[BinaryIO, int, Any], None],
    keys: Callable[[Any], Iterable[str]],
) -> Progress:
    """Process the lines of the part that are not done, and record progress."""
    counts = Counter(progress.flags)
    due = time.monotonic() + SAVE_SECONDS
    for window, offset in read_range(source, progress.input_offset, progress.stop):
        for number, result in enumerate(process(window), progress.line):
            counts.update(keys(result))
            write(output, number, result)
        line = progress.line + len(window)
        progress = replace(progress, input_offset=offset, line=line, flags=dict(counts))
        if time.monotonic() >= due:
            parts.save(output, progress)
            due = time.monotonic() + SAVE_SECONDS
    return progress


def require_splittable(arguments: argparse.Namespace) -> None:
    """Raise LineError unless input and output are files, and the input is plain UTF-8."""
    if arguments.sentences or getattr(arguments, "document", False):
        given = "--document" if getattr(arguments, "document", False) else "sentences as arguments"
        raise LineError(f"Several ranks process the lines of a file. Received: {given}. Start one process.")
    if arguments.input is None:
        raise LineError("Several ranks cannot share standard input. Give --input.")
    if arguments.output is None:
        raise LineError("Several ranks cannot share standard output. Give --output.")
    with open_input(arguments.input) as descriptor:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not expand_user(arguments.input).is_file():
            raise LineError(f"Several ranks require that --input is a regular file. Received: {arguments.input}.")
        output = expand_user(arguments.output)
        if output.exists() and os.path.samestat(output.stat(), os.fstat(descriptor)):
            raise LineError(f"--output must not be the file that is read. Received: {arguments.output}.")
    try:
        name = text_format(expand_user(arguments.input))
    except UnsupportedTextError as error:
        raise LineError(f"The input must be readable text. Received: {error.strerror}.") from error
    if name not in ("UTF-8", "not UTF-8"):  # bytes that are not UTF-8 are replaced, as by one process
        raise LineError(
            f"Several ranks require an --input of plain UTF-8, which can be split. Received: {arguments.input}, "
            f"{name}. Decompress or convert it, or start one process."
        )


def window_range(source: BinaryIO, rank: Rank) -> tuple[Position, Position]:
    """Return the beginnings of the first line of a rank and of the first line after it.

    Ranges of equal size are moved to the nearest line whose number is a multiple of `WINDOW_LINES`, so that the
    windows, and with them the last digits of scores, are those of one process. This reads the file up to the end of the
    range.
    """
    size = os.fstat(source.fileno()).st_size
    source.seek(0)
    first = Position(len(codecs.BOM_UTF8) if source.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0, 0)
    bounds, position = [], first
    for number in (rank.rank, rank.rank + 1):
        position = _line_start(source, position, size * number // rank.world_size)
        is_inside = 0 < number < rank.world_size
        bounds.append(_nearest_window(source, position, first) if is_inside else position)
    return bounds[0], bounds[1]


def _line_start(source: BinaryIO, earlier: Position, offset: int) -> Position:
    """Return the first line that begins at or after an offset, given an earlier line."""
    source.seek(earlier.offset)
    line, left = earlier.line, max(0, offset - earlier.offset)
    while left and (block := source.read(min(_BLOCK_SIZE, left))):
        line, left = line + block.count(b"\n"), left - len(block)
        if not left and not block.endswith(b"\n"):
            line += _skip_line(source)
    return Position(source.tell(), line)


def _nearest_window(source: BinaryIO, position: Position, first: Position) -> Position:
    """Return the line nearest to a line whose number is a multiple of `WINDOW_LINES`, or the end of the file."""
    surplus = position.line % lines.WINDOW_LINES
    if 2 * surplus < lines.WINDOW_LINES:
        return _go_back(source, position, surplus, first)
    source.seek(position.offset)
    line = position.line
    while line % lines.WINDOW_LINES and _skip_line(source):
        line += 1
    return Position(source.tell(), line)


def _go_back(source: BinaryIO, position: Position, count: int, first: Position) -> Position:
    """Return the line that is `count` lines before another."""
    if not count:
        return position
    if position.line == count:
        return first
    size = _BLOCK_SIZE
    while True:
        start = max(0, position.offset - size)
        source.seek(start)
        before, *after = source.read(position.offset - start).removesuffix(b"\n").rsplit(b"\n", count)
        if len(after) == count:
            return Position(start + len(before) + 1, position.line - count)
        size *= 4


def _skip_line(source: BinaryIO) -> bool:
    """Read to the end of a line; return False at the end of the file."""
    is_line = False
    while block := source.readline(_BLOCK_SIZE):
        is_line = True
        if block.endswith(b"\n"):
            break
    return is_line


def read_range(source: BinaryIO, offset: int, stop: int) -> Iterator[tuple[list[str], int]]:
    """Yield the lines between two offsets in windows, each with the offset after its last line.

    Raises:
        LineError: if the file ends before `stop`.
    """
    source.seek(offset)
    while offset < stop:
        window: list[str] = []
        while len(window) < lines.WINDOW_LINES and offset < stop:
            line = source.readline()
            if not line:
                raise LineError(f"The input must not change while it is read. Received: {source.name}, cut off.")
            offset += len(line)
            window.append(decode_line(line.removesuffix(b"\n")))
        yield window, offset


def job_of(arguments: argparse.Namespace, rank: Rank, state: os.stat_result) -> dict[str, str]:
    """Return everything that the output depends on, by name."""
    options = {name: value for name, value in vars(arguments).items() if name not in _FREE_ARGUMENTS}
    models = [arguments.model, *getattr(arguments, "ensemble", ())]
    return {
        "input": f"{state.st_size} bytes, modified at {state.st_mtime_ns} ns",
        "model": " ".join(_digest(model) for model in models),
        "options": json.dumps({name: value for name, value in sorted(options.items()) if value is not None}),
        "ranks": str(rank.world_size),
    }


def _digest(model: str) -> str:
    """Return a digest of the files that a model decodes with."""
    from translator.checkpoint import locate_weights
    from translator.checkpoint.location import EXPORTED_FILE, find_model, is_exported

    path = find_model(model)
    folder, weights = (path, path / EXPORTED_FILE) if is_exported(path) else locate_weights(path)
    digest = hashlib.sha256()
    for file in (weights, *sorted(folder.glob("*.model")), folder / "config.yaml"):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:32]


def choose_rank_device(arguments: argparse.Namespace, rank: Rank) -> None:
    """Replace `--device auto` by the CUDA device of the rank on its machine, if there are any."""
    if arguments.device == "auto":
        import torch

        count = torch.cuda.device_count()
        arguments.device = f"cuda:{rank.local_rank % count}" if count else "cpu"


def _require_unchanged(path: str, source: BinaryIO, before: os.stat_result) -> None:
    after = os.fstat(source.fileno())
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise LineError(f"The input must not change while it is read. Received: {path}, changed. Start again.")


def _say(arguments: argparse.Namespace, rank: Rank, message: str) -> None:
    if not arguments.quiet:
        print(f"translator: rank {rank.rank} of {rank.world_size}: {message}", file=sys.stderr)
