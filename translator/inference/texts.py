"""Checking and cleaning of input texts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from translator.decoding.errors import DecodingError

_SURROGATES = re.compile("[\ud800-\udfff]")


def read_texts(texts: str | Iterable[str]) -> list[str]:
    """Return one text, or an iterable of texts, as a list.

    Raises:
        DecodingError: if one of them is not a string.
    """
    given = [texts] if isinstance(texts, str) or not isinstance(texts, Iterable) else list(texts)
    for number, text in enumerate(given):
        if not isinstance(text, str):
            raise DecodingError(f"A text must be a str. Received: {type(text).__name__}, as text {number}.")
    return given


def read_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return an iterable of pairs of texts as a list.

    Raises:
        DecodingError: if one of them is not a pair of strings.
    """
    given = list(pairs)
    for number, pair in enumerate(given):
        is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2
        if not is_pair or not all(isinstance(text, str) for text in pair):
            raise DecodingError(f"A pair must be two texts, source and target. Received: {pair!r}, as pair {number}.")
    return given


def read_prefixes(prefixes: str | Iterable[str] | None, count: int) -> list[str]:
    """Return the beginnings of `count` translations, cleaned; empty for none.

    Raises:
        DecodingError: if there are not as many as texts, or one of them is not a string.
    """
    if prefixes is None:
        return [""] * count
    given = [clean(text) for text in read_texts(prefixes)]
    if len(given) != count:
        raise DecodingError(
            f"target_prefix must have one prefix for each text. Received: {len(given)} prefixes, {count} texts. "
            "Use an empty string for a text without a prefix."
        )
    return given


def clean(text: str) -> str:
    """Return the text with U+FFFD for lone surrogates, which `surrogateescape` makes of invalid UTF-8."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def require_positive(name: str, value: float) -> None:
    """Raise DecodingError unless the number is above 0 and finite."""
    if not 0 < value < float("inf"):
        raise DecodingError(f"{name} must be above 0 and finite. Received: {value}.")
