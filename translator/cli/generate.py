"""`translator generate MODEL`: a filter, a beginning in, a text out."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from translator.cli.filtering import BYTES_NOTICE, add_filter, hypothesis_json, run_filter
from translator.cli.lines import to_json, write_line
from translator.cli.options import OptionError, add_drawing, add_model, add_no_repeat_ngram, given_drawing, sampling_of

if TYPE_CHECKING:
    from translator.inference.generator import Generation

_NOTICES = {
    "invalid_bytes": BYTES_NOTICE,
    "truncated": "{} came out as long as allowed and may lack the end; raise --max-pieces.",
}


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "generate",
        help="continue lines, or prompts given as arguments, with a language model",
        description="Continue each line of standard input, or the prompts given as arguments: by drawing, or with "
        "--beam-size by searching for the likeliest text.",
    )
    add_model(parser)
    add_filter(parser, "PROMPT", "continue")
    parser.add_argument("--max-pieces", type=int, metavar="N", help="most pieces that are added (default: 60)")
    parser.add_argument("--samples", type=int, metavar="N", help="write N texts as `line ||| text ||| score`")
    parser.add_argument("--json", action="store_true", help="write an object a line: text, score, tokens, flags")
    parser.add_argument("-b", "--beam-size", type=int, metavar="N", help="search with N hypotheses; 1 is greedy")
    parser.add_argument("--length-penalty", type=float, metavar="ALPHA", help="of Wu et al. (2016); 0 is none")
    add_no_repeat_ngram(parser)
    add_drawing(parser.add_argument_group("drawing"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Continue until the input ends."""
    options = _options(arguments)

    def load() -> Any:
        from translator.inference.generator import Generator

        generator = Generator.load(arguments.model, arguments.device, arguments.threads, arguments.precision)
        return partial(generator.generate, **options)

    return run_filter(arguments, load, lambda output, number, found: _write(output, number, found, arguments), _NOTICES)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `Generator.generate` is told."""
    given = given_drawing(arguments)
    if arguments.beam_size is not None and given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise OptionError(f"{named} draws, and --beam-size searches. Received: both. Leave out one.")
    options: dict[str, Any] = {
        "beam_size": arguments.beam_size,
        "length_penalty": arguments.length_penalty,
        "no_repeat_ngram": arguments.no_repeat_ngram,
        "batch_tokens": arguments.batch_tokens,
        "sampling": sampling_of(arguments) if arguments.beam_size is None else None,
    }
    optional = {"max_pieces": arguments.max_pieces, "num_hypotheses": arguments.samples}
    return options | {name: value for name, value in optional.items() if value is not None}


def _write(output: BinaryIO, number: int, generation: Generation, arguments: argparse.Namespace) -> None:
    if arguments.json:
        value = hypothesis_json(generation.hypotheses[0]) | {"prompt": generation.prompt, "flags": generation.flags}
        if arguments.samples is not None:
            value["samples"] = [hypothesis_json(hypothesis) for hypothesis in generation.hypotheses]
        write_line(output, to_json(value))
    elif arguments.samples is not None:
        for hypothesis in generation.hypotheses:
            write_line(output, f"{number} ||| {hypothesis.text} ||| {hypothesis.score:.6f}")
    else:
        write_line(output, generation.text)
