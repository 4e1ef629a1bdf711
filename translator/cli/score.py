"""`translator score MODEL`: log-probabilities of given translations."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

from translator.cli.filtering import BYTES_NOTICE, notify
from translator.cli.lines import WINDOW_LINES, LineError, read_windows, to_json, write_line
from translator.cli.options import add_engine, add_model, load_translator
from translator.cli.streams import open_input, open_output

if TYPE_CHECKING:
    from translator.inference.results import Score


_NOTICES = {
    "invalid_bytes": BYTES_NOTICE,
    "too_long": "{} exceeded the maximum length of the model and got no number.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = "Write the log-probability of each pair, read as source<TAB>target lines or from two files."
    add_model(parser)
    add_engine(parser)
    parser.add_argument("-i", "--input", metavar="FILE", help="source<TAB>target lines (default: standard input)")
    parser.add_argument("--source", metavar="FILE", help="file of source lines, with --target")
    parser.add_argument("--target", metavar="FILE", help="file of target lines, with --source")
    parser.add_argument("-o", "--output", metavar="FILE", help="output file (default: standard output)")
    parser.add_argument("--json", action="store_true", help="write one JSON object per line, with tokens")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Score all pairs."""
    is_aligned = arguments.source is not None
    if is_aligned != (arguments.target is not None) or (is_aligned and arguments.input is not None):
        raise LineError("Pairs are read from --input, or from both --source and --target. Pass only one choice.")
    paths = [arguments.source, arguments.target] if is_aligned else [arguments.input]
    with ExitStack() as stack:
        descriptors = [stack.enter_context(open_input(path)) for path in paths]
        output = stack.enter_context(open_output(arguments.output, descriptors))
        windows: Iterable[list[tuple[str, str]]] = map(_pairs, _numbered(descriptors[0]))
        if is_aligned:
            windows = _aligned(*descriptors)
        translator = load_translator(arguments)
        counts: Counter[str] = Counter()
        for window in windows:
            for score in translator.score(window, batch_tokens=arguments.batch_tokens):
                counts.update(score.flags)
                _write(output, score, arguments.json)
            output.flush()
    notify(counts, _NOTICES)
    return 0


def _numbered(descriptor: int) -> Iterator[list[tuple[int, str]]]:
    """Yield windows of lines with their numbers, from 1."""
    number = 1
    for window in read_windows(descriptor):
        yield list(enumerate(window, number))
        number += len(window)


def _pairs(window: list[tuple[int, str]]) -> list[tuple[str, str]]:
    pairs = []
    for number, line in window:
        columns = line.split("\t")
        if len(columns) != 2:
            advice = "For text that holds tabs, use --source and --target."
            if "\r" in line:
                advice = r'Lines must end with "\n"; this one contains "\r" alone.'
            raise LineError(
                f"A line must be source<TAB>target. Received: {len(columns) - 1} tabs in line {number}. {advice}"
            )
        pairs.append((columns[0], columns[1]))
    return pairs


def _aligned(source: int, target: int) -> list[list[tuple[str, str]]]:
    """Return windows of pairs from two files."""
    sources, targets = (list(chain.from_iterable(read_windows(descriptor))) for descriptor in (source, target))
    if len(sources) != len(targets):
        raise LineError(
            "--source and --target must have equally many lines. "
            f"Received: {len(sources):,} source lines and {len(targets):,} target lines."
        )
    pairs = list(zip(sources, targets, strict=True))
    return [pairs[start : start + WINDOW_LINES] for start in range(0, len(pairs), WINDOW_LINES)]


def _write(output: BinaryIO, score: Score, is_json: bool) -> None:
    if not is_json:
        write_line(output, f"{score.log_probability:.6f}")
        return
    value = {
        "log_probability": None if math.isnan(score.log_probability) else score.log_probability,
        "tokens": score.tokens,
        "token_log_probabilities": score.token_log_probabilities,
        "flags": score.flags,
    }
    write_line(output, to_json(value))
