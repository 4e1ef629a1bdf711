"""Options that several verbs share."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translator.errors import UserError

if TYPE_CHECKING:
    from translator.decoding.search import Sampling
    from translator.inference.translator import Translator


class OptionError(UserError):
    """Options that cannot be used as given."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """The model, what it runs on, and how much of it at once."""
    add_one_model(parser)
    parser.add_argument("--batch-tokens", type=int, metavar="N", help="source tokens translated together")


def add_one_model(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    """The model, and what it runs on."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?" if is_optional else None,
        help="run directory, checkpoint or bundle; name of a bundled model; or hub id",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, … (default: %(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: as many as cores)")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of weights and products; bfloat16 is meant for GPUs (default: %(default)s)",
    )


def add_drawing(parser: argparse._ActionsContainer) -> None:
    """How the next piece's distribution is changed."""
    parser.add_argument("--temperature", type=float, metavar="T", help="below 1 more careful, above more daring")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw among the K likeliest pieces")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw among the likeliest of this probability in all")
    parser.add_argument("--seed", type=int, metavar="N", help="of the draw (default: 1)")


def given_drawing(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_drawing` read, as `Sampling` takes it; what was not given is left out."""
    drawing = {name: getattr(arguments, name) for name in ("temperature", "top_k", "top_p", "seed")}
    return {name: value for name, value in drawing.items() if value is not None}


def output_ending(path: str, endings: Sequence[str]) -> str:
    """The ending of an output file's name, without its dot.

    Raises:
        OptionError: it is none of `endings`.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in endings:
        raise OptionError(f"--output must end with {' or '.join(f'.{name}' for name in endings)}. Received: {path}.")
    return ending


def add_search(parser: argparse.ArgumentParser) -> None:
    """How to search; what is not given is as in the model's configuration."""
    group = parser.add_argument_group("search", "by default as in the model's configuration")
    group.add_argument("-b", "--beam-size", type=int, metavar="N", help="hypotheses kept; 1 is greedy")
    group.add_argument("--length-penalty", type=float, metavar="ALPHA", help="of Wu et al. (2016); 0 is none")
    group.add_argument("--max-length-factor", type=float, metavar="F", help="longest output: F pieces a piece, plus 10")
    add_no_repeat_ngram(group)


def add_no_repeat_ngram(parser: argparse._ActionsContainer) -> None:
    """What keeps a search out of loops."""
    parser.add_argument(
        "--no-repeat-ngram", type=int, metavar="N", help="no N pieces twice, unless the source repeats; 0 is no guard"
    )


def sampling_of(arguments: argparse.Namespace) -> Sampling:
    """What `add_drawing` read, with defaults for what was not given."""
    from translator.decoding.search import Sampling

    return Sampling(**given_drawing(arguments))


def search_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_search` and `add_model` read, as `Translator.translate` takes it."""
    return {
        "beam_size": arguments.beam_size,
        "length_penalty": arguments.length_penalty,
        "max_length_factor": arguments.max_length_factor,
        "no_repeat_ngram": arguments.no_repeat_ngram,
        "batch_tokens": arguments.batch_tokens,
    }


def load_translator(arguments: argparse.Namespace) -> Translator:
    """The model that the arguments name, on their device.

    What importing torch and loading make stays to the end: looking for garbage in it takes a sixth of the start.
    """
    gc.disable()
    try:
        from translator.inference.translator import Translator

        return Translator.load(arguments.model, arguments.device, arguments.threads, arguments.precision)
    finally:
        gc.freeze()
        gc.enable()
