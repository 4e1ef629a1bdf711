"""Shared code of the subcommands that process texts one by one: input, output, prompt and notices."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, Protocol, TypeVar

from translator.cli.lines import LineError, read_windows
from translator.cli.splitting import run_rank
from translator.cli.streams import open_input, open_output
from translator.ranks import Rank

_PROMPT = "> "
BYTES_NOTICE = "{} contained bytes that are not UTF-8; they were replaced by U+FFFD."
SPLIT_NOTICE = "{} exceeded the maximum length of the model and went through it in parts."


class Flagged(Protocol):
    """A result with flags."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Notes about the result, such as `split`."""


Result = TypeVar("Result", bound=Flagged)


def flags_of(result: Flagged) -> tuple[str, ...]:
    """Return the flags of a result."""
    return result.flags


def add_filter(parser: argparse.ArgumentParser, metavar: str, verb: str) -> None:
    """Add the arguments for input and output."""
    # Without a default, argparse also reports the sentences as missing if only the model is.
    parser.add_argument(
        "sentences", metavar=metavar, nargs="*", default=[], help=f"{verb} these instead of standard input"
    )
    parser.add_argument("-i", "--input", metavar="FILE", help="input file (default: standard input)")
    parser.add_argument("-o", "--output", metavar="FILE", help="output file (default: standard output)")
    parser.add_argument("--quiet", action="store_true", help="print no prompt and no notices")


def open_files(arguments: argparse.Namespace, stack: ExitStack) -> tuple[list[int], BinaryIO]:
    """Open input and output until the stack is closed.

    Returns:
        The descriptor of the input, none if the texts are arguments; and the output.

    Raises:
        LineError: if there are both an input file and texts as arguments.
        StreamError: if a file cannot be opened.
    """
    if arguments.sentences and arguments.input is not None:
        raise LineError("Sentences as arguments and --input are mutually exclusive. Pass only one.")
    sources = [] if arguments.sentences else [stack.enter_context(open_input(arguments.input))]
    return sources, stack.enter_context(open_output(arguments.output, sources))


def run_filter(
    arguments: argparse.Namespace,
    load: Callable[[], Callable[[Sequence[str]], Sequence[Result]]],
    write: Callable[[BinaryIO, int, Result], None],
    notices: Mapping[str, str],
    keys: Callable[[Result], Iterable[str]] = flags_of,
) -> Counter[str]:
    """Process all lines or arguments, in order; one of several ranks processes its part of the lines.

    Args:
        arguments: parsed arguments, including those of `add_filter`.
        load: loads the model and returns a function from texts to results; called when the files are open.
        write: writes one result, given the output, the number of the text from 0 and the result.
        notices: message to print at the end for each flag, with `{}` in place of the number of lines.
        keys: returns what is counted of a result, its flags among it.

    Returns:
        The counts; of several ranks, the last to finish returns those of all, the others none.
    """
    rank = Rank.of_environment()
    if rank.world_size > 1:
        counts = run_rank(arguments, rank, load, write, keys)
        if not arguments.quiet:
            notify(counts, notices)
        return counts
    with ExitStack() as stack:
        sources, output = open_files(arguments, stack)
        process = load()
        windows = _windows(sources[0], arguments.quiet) if sources else [arguments.sentences]
        counts = Counter()
        number = 0
        for window in windows:
            for result in process(window):
                counts.update(keys(result))
                write(output, number, result)
                number += 1
            output.flush()
    if not arguments.quiet:
        notify(counts, notices)
    return counts


def _windows(source: int, quiet: bool) -> Iterator[list[str]]:
    """Yield the input in windows, and print a prompt before each if the input is a terminal."""
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
    """Print the number of lines with each flag that has a notice."""
    for flag, notice in notices.items():
        if counts.get(flag):
            lines = f"{counts[flag]:,} line{'s' if counts[flag] > 1 else ''}"
            print(f"translator: {notice.format(lines)}", file=sys.stderr)


def hypothesis_json(hypothesis: Any) -> dict[str, Any]:
    """Return a hypothesis as plain values, for JSON."""
    found = hypothesis.alignment
    alignment = {} if found is None else {"source": found.source, "target": found.target, "links": found.links}
    return {
        "text": hypothesis.text,
        "score": hypothesis.score,
        "tokens": hypothesis.tokens,
        "token_log_probabilities": hypothesis.token_log_probabilities,
    } | ({"alignment": alignment} if alignment else {})
