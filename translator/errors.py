"""The base class of errors that the user can correct."""

from __future__ import annotations

from typing import Any

MAX_SHOWN_CHARACTERS = 300


class UserError(ValueError):
    """An input that cannot be used. The command line prints the message without a traceback and exits with 2."""


def shorten(value: Any, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """Return `value` as text for an error message, without control characters and cut to `limit` characters.

    Args:
        value: a string, or any other object, which is shown by its `repr`.
        limit: maximum number of characters, not counting the note that says how many were cut.
    """
    text = value if isinstance(value, str) else repr(value)
    shown = "".join(character if character.isprintable() else _escape(character) for character in text[:limit])
    rest = len(text) - limit
    return shown if rest <= 0 else f"{shown}… ({rest:,} more characters)"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
