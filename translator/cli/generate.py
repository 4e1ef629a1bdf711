"""`translator generate MODEL`: continue prompts, one per line, with a language model."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from translator.cli.filtering import BYTES_NOTICE, add_filter, hypothesis_json, run_filter
from translator.cli.lines import to_json, write_line
from translator.cli.options import SEARCH_OPTIONS, add_decoding, add_model, decoding_changes
from translator.config.decoding import SAMPLING_FIELDS, TRANSLATION_FIELDS

if TYPE_CHECKING:
    from translator.inference.generator import Generation

_NOTICES = {
    "invalid_bytes": BYTES_NOTICE,
    "truncated": "{} reached the maximum length and may be incomplete; raise --max-pieces.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Continue each line of standard input, or the prompts given as arguments, by sampling or, with --beam-size, by "
        "beam search."
    )
    add_model(parser)
    add_filter(parser, "PROMPT", "continue")
    parser.add_argument("--max-pieces", type=int, metavar="N", help="maximum number of tokens to add (default: 60)")
    parser.add_argument(
        "--samples", dest="num_hypotheses", type=int, metavar="N", help="write N texts as `line ||| text ||| score`"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object per line")
    add_decoding(parser, [name for name in SEARCH_OPTIONS if name not in TRANSLATION_FIELDS])
    add_decoding(parser.add_argument_group("sampling"), ["sample", *SAMPLING_FIELDS])
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Continue all lines or arguments."""

    def load() -> Any:
        """Load the generator and return its method with the options of the command line."""
        from translator.inference.generator import MAX_PIECES, Generator

        generator = Generator.load(arguments.model, arguments.device, arguments.threads, arguments.precision)
        max_pieces = MAX_PIECES if arguments.max_pieces is None else arguments.max_pieces
        return partial(generator.generate, max_pieces=max_pieces, **decoding_changes(arguments))

    run_filter(arguments, load, lambda output, number, found: _write(output, number, found, arguments), _NOTICES)
    return 0


def _write(output: BinaryIO, number: int, generation: Generation, arguments: argparse.Namespace) -> None:
    if arguments.json:
        value = hypothesis_json(generation.hypotheses[0]) | {"prompt": generation.prompt, "flags": generation.flags}
        if arguments.num_hypotheses is not None:
            value["samples"] = [hypothesis_json(hypothesis) for hypothesis in generation.hypotheses]
        write_line(output, to_json(value))
    elif arguments.num_hypotheses is not None:
        for hypothesis in generation.hypotheses:
            write_line(output, f"{number} ||| {hypothesis.text} ||| {hypothesis.score:.6f}")
    else:
        write_line(output, generation.text)
