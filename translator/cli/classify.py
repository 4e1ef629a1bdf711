"""`translator classify MODEL`: label each input line with a classifier."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from translator.cli.filtering import BYTES_NOTICE, SPLIT_NOTICE, add_filter, run_filter
from translator.cli.lines import to_json, write_line
from translator.cli.options import add_model

if TYPE_CHECKING:
    from translator.inference.classifier import Classification

_NOTICES = {"invalid_bytes": BYTES_NOTICE, "split": SPLIT_NOTICE}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Write the label of each line of standard input, or of each text given as an argument, followed by "
        "a tab and its probability. An empty line gives an empty line."
    )
    add_model(parser)
    add_filter(parser, "TEXT", "classify")
    parser.add_argument(
        "--json", action="store_true", help="write one JSON object per line, with the probability of each label"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Classify all lines or arguments."""

    def load() -> Any:
        """Load the classifier and return its method with the options of the command line."""
        from translator.inference.classifier import Classifier

        classifier = Classifier.load(arguments.model, arguments.device, arguments.threads, arguments.precision)
        given = {} if arguments.batch_tokens is None else {"batch_tokens": arguments.batch_tokens}
        return partial(classifier.classify, **given)

    run_filter(arguments, load, lambda output, _, found: _write(output, found, arguments.json), _NOTICES)
    return 0


def _write(output: BinaryIO, found: Classification, is_json: bool) -> None:
    if is_json:
        value = {"label": found.label, "probabilities": found.probabilities, "flags": found.flags}
        write_line(output, to_json(value))
    else:
        write_line(output, f"{found.label}\t{found.probability:.4f}" if found.label else "")
