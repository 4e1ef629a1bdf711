"""Parsing of arguments where texts may come after options, and may begin with "-" after `--`."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from typing import Any

# A letter with something attached that is not a number: argparse would take "-oui" for "-o ui".
_ATTACHED = re.compile(r"-[^\W\d_](?!=?\d+$).+", re.DOTALL)
_TEXT_MARK = "\0"  # cannot occur in an argument of a process


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse arguments; print usage and an error and exit with 2 if they are invalid.

    Differs from `parser.parse_args` in three points: texts (`sentences` or `sentence`) may follow options; `--` works
    after options, too; a value must not be attached to a short option unless it is a number.
    """
    options, texts = list(argv), []
    if "--" in options:
        separator = options.index("--")
        options, texts = options[:separator], options[separator + 1 :]
    for option in options:
        if _ATTACHED.fullmatch(option):
            _refuse(parser, option)
    # argparse does not find texts after `--` if an option comes between the model and them. It finds marked ones.
    marked = [_TEXT_MARK + text if text.startswith("-") else text for text in texts]
    arguments, rest = parser.parse_known_args([*options, *marked])
    if rest and not any(argument.startswith("-") for argument in rest):
        rest = _add_texts(arguments, rest)
    if rest:
        hint = f".{_hint(rest[0])}" if hasattr(arguments, "sentences") or hasattr(arguments, "sentence") else ""
        parser.error(f"unrecognized arguments: {' '.join(_without_mark(rest))}{hint}")
    for name, value in vars(arguments).items():
        setattr(arguments, name, _without_mark(value))
    return arguments


def _add_texts(arguments: argparse.Namespace, rest: list[str]) -> list[str]:
    """Add positional arguments that argparse left over to the texts; return those that have no place."""
    if hasattr(arguments, "sentences"):
        arguments.sentences = [*arguments.sentences, *rest]
        return []
    if len(rest) == 1 and getattr(arguments, "sentence", "") is None:
        arguments.sentence = rest[0]
        return []
    return rest


def _refuse(parser: argparse.ArgumentParser, option: str) -> None:
    parser.error(f"{option!r} is not an option. Write an option and its value as two arguments.{_hint(option)}")


def _hint(text: str) -> str:
    return f" Text that begins with '-' must come after '--': -- {shlex.quote(text)}"


def _without_mark(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_mark(item) for item in value]
    return value.removeprefix(_TEXT_MARK) if isinstance(value, str) else value
