"""`translator translate MODEL`: a filter, one line in, one line out."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

from translator.cli.lines import LineError, open_input, open_output, read_windows, to_json, write_line
from translator.cli.options import (
    add_drawing,
    add_model,
    add_search,
    given_drawing,
    load_translator,
    search_options,
)

if TYPE_CHECKING:
    from translator.decoding.translator import Hypothesis, Translation

_PROMPT = "> "
_NOTICES = {
    "invalid_bytes": "{} held bytes that are not UTF-8; they were replaced by U+FFFD.",
    "split": "{} held more than the model takes at once and went through it in parts.",
    "truncated": "{} came out as long as allowed and may lack the end; raise --max-length-factor.",
}


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "translate",
        help="translate lines, or sentences given as arguments",
        description="Translate standard input to standard output, line by line, or the sentences given as arguments.",
    )
    add_model(parser)
    parser.add_argument("sentences", metavar="SENTENCE", nargs="*", help="translate these and no input")
    parser.add_argument("-i", "--input", metavar="FILE", help="read this file, not standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="write this file, not standard output")
    parser.add_argument("--n-best", type=int, metavar="N", help="write the N best as `line ||| text ||| score`")
    parser.add_argument("--json", action="store_true", help="write an object a line: text, score, tokens, flags")
    parser.add_argument("--quiet", action="store_true", help="no prompt and no notices")
    add_search(parser)
    group = parser.add_argument_group("sampling")
    group.add_argument("--sample", action="store_true", help="draw translations instead of searching for the best")
    add_drawing(group)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Translate until the input ends."""
    options = _translate_options(arguments)
    if arguments.sentences and arguments.input:
        raise LineError("Sentences are given as arguments or in a file. Received: both. Leave out one.")
    with ExitStack() as stack:
        sources = [] if arguments.sentences else [stack.enter_context(open_input(arguments.input))]
        output = stack.enter_context(open_output(arguments.output, sources))
        translator = load_translator(arguments)
        windows = _windows(sources[0], arguments.quiet) if sources else [arguments.sentences]
        counts: Counter[str] = Counter()
        number = 0
        for window in windows:
            for translation in translator.translate(window, **options):
                counts.update(translation.flags)
                _write(output, number, translation, arguments)
                number += 1
            output.flush()
    if not arguments.quiet:
        _notify(counts)
    return 0


def _translate_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `Translator.translate` is told."""
    given = given_drawing(arguments)
    options = search_options(arguments)
    if arguments.n_best is not None:
        options["num_hypotheses"] = arguments.n_best
    if arguments.sample:
        from translator.decoding.search import Sampling

        options["sampling"] = Sampling(**given)
    elif given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise LineError(f"{named} must come with --sample. Received: no --sample. Add it.")
    return options


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


def _write(output: BinaryIO, number: int, translation: Translation, arguments: argparse.Namespace) -> None:
    if arguments.json:
        value = _as_json(translation.hypotheses[0]) | {"flags": translation.flags}
        if arguments.n_best is not None:
            value["hypotheses"] = [_as_json(hypothesis) for hypothesis in translation.hypotheses]
        write_line(output, to_json(value))
    elif arguments.n_best is not None:
        for hypothesis in translation.hypotheses:
            write_line(output, f"{number} ||| {hypothesis.text} ||| {hypothesis.score:.6f}")
    else:
        write_line(output, translation.text)


def _as_json(hypothesis: Hypothesis) -> dict[str, Any]:
    return {"text": hypothesis.text, "score": hypothesis.score, "tokens": hypothesis.tokens}


def _notify(counts: Counter[str]) -> None:
    for flag, notice in _NOTICES.items():
        if counts[flag]:
            lines = f"{counts[flag]:,} line{'s' if counts[flag] > 1 else ''}"
            print(f"translator: {notice.format(lines)}", file=sys.stderr)
