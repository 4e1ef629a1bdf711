"""What the filters share: texts as arguments or lines in, an answer for each out, and notices at the end."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, Protocol, TypeVar

from translator.cli.lines import LineError, read_windows
from translator.cli.streams import open_input, open_output

_PROMPT = "> "
BYTES_NOTICE = "{} held bytes that are not UTF-8; they were replaced by U+FFFD."
SPLIT_NOTICE = "{} held more than the model takes at once and went through it in parts."


class Flagged(Protocol):
    """An answer, with what is worth knowing about it."""

    @property
    def flags(self) -> tuple[str, ...]: ...


Result = TypeVar("Result", bound=Flagged)


def add_filter(parser: argparse.ArgumentParser, metavar: str, verb: str) -> None:
    """Where texts come from and answers go."""
    # The default keeps argparse from naming sentences where only the model is missing.
    parser.add_argument("sentences", metavar=metavar, nargs="*", default=[], help=f"{verb} these and no input")
    parser.add_argument("-i", "--input", metavar="FILE", help="read this file, not standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="write this file, not standard output")
    parser.add_argument("--quiet", action="store_true", help="no prompt and no notices")


def run_filter(
    arguments: argparse.Namespace,
    load: Callable[[], Callable[[Sequence[str]], Sequence[Result]]],
    write: Callable[[BinaryIO, int, Result], None],
    notices: Mapping[str, str],
) -> int:
    """Answer each text until the input ends.

    Args:
        arguments: as `add_filter` had them read.
        load: loads the model, once the files are open, and gives what answers texts.
        write: writes the answer to text number n, from 0.
        notices: what is said at the end about the lines with a flag, `{}` being how many.
    """
    if arguments.sentences and arguments.input is not None:
        raise LineError("Sentences are given as arguments or in a file. Received: both. Leave out one.")
    with ExitStack() as stack:
        sources = [] if arguments.sentences else [stack.enter_context(open_input(arguments.input))]
        output = stack.enter_context(open_output(arguments.output, sources))
        answer = load()
        windows = _windows(sources[0], arguments.quiet) if sources else [arguments.sentences]
        counts: Counter[str] = Counter()
        number = 0
        for window in windows:
            for result in answer(window):
                counts.update(result.flags)
                write(output, number, result)
                number += 1
            output.flush()
    if not arguments.quiet:
        notify(counts, notices)
    return 0


def _windows(source: int, quiet: bool) -> Iterator[list[str]]:
    """The input in windows, after a prompt each if a person types it."""
    is_prompting = os.isatty(source) and not quiet
    _prompt(is_prompting)
    for window in read_windows(source):
        yield window
        _prompt(is_prompting)
    if is_prompting:
        print(file=sys.stderr)


def _prompt(is_prompting: bool) -> None:
    if is_prompting:
        print(_PROMPT, end="", file=sys.stderr, flush=True)


def notify(counts: Mapping[str, int], notices: Mapping[str, str]) -> None:
    """Say how many lines there were with each flag that has a notice."""
    for flag, notice in notices.items():
        if counts.get(flag):
            lines = f"{counts[flag]:,} line{'s' if counts[flag] > 1 else ''}"
            print(f"translator: {notice.format(lines)}", file=sys.stderr)


def hypothesis_json(hypothesis: Any) -> dict[str, Any]:
    """A hypothesis as plain values."""
    return {"text": hypothesis.text, "score": hypothesis.score, "tokens": hypothesis.tokens}
