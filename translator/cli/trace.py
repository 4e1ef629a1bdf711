"""`translator trace MODEL SENTENCE`: the intermediate values of one translation, or of the worked example."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from translator.cli.lines import to_json, write_line
from translator.cli.options import OptionError, add_decoding, add_one_model, load_translator
from translator.cli.streams import open_output
from translator.config.decoding import SAMPLING_FIELDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Translate a sentence by greedy search and show the intermediate values: tokens and ids, embeddings, "
        "positions, each sublayer, and the distribution and choice of each step."
    )
    add_one_model(parser, is_optional=True)
    parser.add_argument("sentence", metavar="SENTENCE", nargs="?", help="sentence in the source language")
    parser.add_argument(
        "--worked-example",
        action="store_true",
        help='"Jane visits Paris" instead, without a model',
    )
    parser.add_argument("--top", type=int, default=5, metavar="N", help="tokens shown per step (default: %(default)s)")
    parser.add_argument(
        "--values", type=int, default=4, metavar="N", help="values shown of a vector (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    group = parser.add_argument_group(
        "sampling", "changes the distributions; the most probable token is chosen unless --sample is given"
    )
    group.add_argument("--sample", action="store_true", help="choose tokens by sampling, as translate --sample does")
    add_decoding(group, SAMPLING_FIELDS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trace one translation and write the result."""
    text = _worked_example(arguments) if arguments.worked_example else _trace(arguments)
    with open_output(None, []) as output:
        write_line(output, text)
    return 0


def _worked_example(arguments: argparse.Namespace) -> str:
    if arguments.model is not None or arguments.sample or _given_sampling(arguments):
        raise OptionError("--worked-example takes no model, sentence or sampling options. Leave them out.")
    from translator.inspection.worked_example import format_worked_example, worked_example

    example = worked_example()
    return to_json(asdict(example)) if arguments.json else format_worked_example(example)


def _trace(arguments: argparse.Namespace) -> str:
    if arguments.sentence is None:
        raise OptionError("trace requires a model and a sentence, or --worked-example.")
    given = _given_sampling(arguments)
    if "seed" in given and not arguments.sample:
        raise OptionError("--seed requires --sample. Add it.")
    from translator.inspection.trace import format_trace, trace

    found = trace(
        load_translator(arguments),
        arguments.sentence,
        sample=arguments.sample,
        num_top=arguments.top,
        num_values=arguments.values,
        **given,
    )
    return to_json(asdict(found)) if arguments.json else format_trace(found)


def _given_sampling(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the sampling options that were given."""
    given = {name: getattr(arguments, name) for name in SAMPLING_FIELDS}
    return {name: value for name, value in given.items() if value is not None}
