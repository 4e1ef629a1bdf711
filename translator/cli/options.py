"""Options that several subcommands share."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from translator.config import DecodingChanges, DecodingOptions
from translator.config.decoding import PRECISIONS, SAMPLING_FIELDS
from translator.config.section import describe_fields
from translator.engines import ENGINES
from translator.errors import UserError

if TYPE_CHECKING:
    from translator.inference.translator import Translator

_OTHER_OPTIONS = {"batch_tokens", "num_hypotheses", "sample", *SAMPLING_FIELDS}  # in groups of their own
SEARCH_OPTIONS = tuple(name for name in DecodingOptions.model_fields if name not in _OTHER_OPTIONS)
_SHORT_FLAGS = {"beam_size": ("-b",)}


class OptionError(UserError):
    """Invalid options or combinations of options."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model, the device that computes, and the batch size."""
    add_one_model(parser)
    add_decoding(parser, ["batch_tokens"])


def add_one_model(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    """Add the model, and the device that computes."""
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
        choices=PRECISIONS,
        help="data type of weights and matrix products; int8 on CPUs only (default: decoding.precision of the model, "
        "which is float32 unless its configuration says otherwise)",
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the engine that decodes."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="auto is ctranslate2 for a model exported to its format, otherwise torch (default: %(default)s)",
    )


def add_terms(parser: argparse.ArgumentParser) -> None:
    """Add the file of terms."""
    parser.add_argument(
        "--terms",
        metavar="FILE",
        help="TSV file of terms: source, target, and optionally `hard` (default: a translation of the source has the "
        "target) or `soft` (see --term-bias)",
    )


def add_decoding(parser: argparse._ActionsContainer, names: Sequence[str]) -> None:
    """Add flags for fields of `DecodingOptions`; without a flag, the model's configuration decides."""
    descriptions = describe_fields(DecodingOptions)
    for name in names:
        field = DecodingOptions.model_fields[name].annotation
        flags = [*_SHORT_FLAGS.get(name, ()), f"--{name.replace('_', '-')}"]
        help_text = descriptions.get(name, "").replace("%", "%%")
        if field is int:
            parser.add_argument(*flags, type=int, metavar="N", help=help_text)
        elif field is float:
            parser.add_argument(*flags, type=float, metavar="X", help=help_text)
        else:
            parser.add_argument(*flags, action=argparse.BooleanOptionalAction, default=None, help=help_text)


def add_search(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a search."""
    group = parser.add_argument_group("search", "by default as in the model's configuration")
    add_decoding(group, SEARCH_OPTIONS)


def decoding_changes(arguments: argparse.Namespace) -> DecodingChanges:
    """Return the decoding options given as flags, as `translate` and `generate` take them."""
    given = {name: getattr(arguments, name, None) for name in DecodingOptions.model_fields}
    return cast(DecodingChanges, {name: value for name, value in given.items() if value is not None})


def output_ending(path: str, endings: Sequence[str]) -> str:
    """Return the suffix of an output file, in lower case and without its dot.

    Raises:
        OptionError: if it is not one of `endings`.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in endings:
        raise OptionError(f"--output must end with {' or '.join(f'.{name}' for name in endings)}. Received: {path}.")
    return ending


def load_translator(arguments: argparse.Namespace) -> Translator:
    """Load the model that the arguments name, on their device.

    Objects created by importing torch and loading the model live until the end. Garbage collection among them would
    take a sixth of the start-up time.
    """
    gc.disable()
    try:
        from translator.inference.terms import Terms
        from translator.inference.translator import Translator

        path = getattr(arguments, "terms", None)
        terms = None if path is None else Terms.read(path)
        engine = getattr(arguments, "engine", "torch")  # subcommands that look inside the model have no choice
        ensemble = getattr(arguments, "ensemble", ())
        translator = Translator.load(
            arguments.model, arguments.device, arguments.threads, arguments.precision, engine, ensemble
        )
        if terms is not None:
            translator.use_terms(terms)
        return translator
    finally:
        gc.freeze()
        gc.enable()
