"""`translator translate MODEL`: a filter, one line in, one line out."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from translator.cli.filtering import BYTES_NOTICE, SPLIT_NOTICE, add_filter, hypothesis_json, run_filter
from translator.cli.lines import LineError, to_json, write_line
from translator.cli.options import (
    add_drawing,
    add_model,
    add_search,
    given_drawing,
    load_translator,
    sampling_of,
    search_options,
)

if TYPE_CHECKING:
    from translator.inference.translator import Translation

_NOTICES = {
    "invalid_bytes": BYTES_NOTICE,
    "split": SPLIT_NOTICE,
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
    add_filter(parser, "SENTENCE", "translate")
    parser.add_argument("--n-best", type=int, metavar="N", help="write the N best as `line ||| text ||| score`")
    parser.add_argument("--json", action="store_true", help="write an object a line: text, score, tokens, flags")
    add_search(parser)
    group = parser.add_argument_group("sampling")
    group.add_argument("--sample", action="store_true", help="draw translations instead of searching for the best")
    add_drawing(group)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Translate until the input ends."""
    options = _translate_options(arguments)

    def load() -> Any:
        return partial(load_translator(arguments).translate, **options)

    return run_filter(
        arguments,
        load,
        lambda output, number, translation: _write(output, number, translation, arguments),
        _NOTICES,
    )


def _translate_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `Translator.translate` is told."""
    given = given_drawing(arguments)
    options = search_options(arguments)
    if arguments.n_best is not None:
        options["num_hypotheses"] = arguments.n_best
    if arguments.sample:
        options["sampling"] = sampling_of(arguments)
    elif given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise LineError(f"{named} must come with --sample. Received: no --sample. Add it.")
    return options


def _write(output: BinaryIO, number: int, translation: Translation, arguments: argparse.Namespace) -> None:
    if arguments.json:
        value = hypothesis_json(translation.hypotheses[0]) | {"flags": translation.flags}
        if arguments.n_best is not None:
            value["hypotheses"] = [hypothesis_json(hypothesis) for hypothesis in translation.hypotheses]
        write_line(output, to_json(value))
    elif arguments.n_best is not None:
        for hypothesis in translation.hypotheses:
            write_line(output, f"{number} ||| {hypothesis.text} ||| {hypothesis.score:.6f}")
    else:
        write_line(output, translation.text)
