"""What everything that takes text does with it first: check, clean, and group by length."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from translator.decoding.search import DecodingError

_SURROGATES = re.compile("[\ud800-\udfff]")


def read_texts(texts: str | Iterable[str]) -> list[str]:
    """One text, or many of whatever can be gone through, as a list.

    Raises:
        DecodingError: one of them is no text.
    """
    given = [texts] if isinstance(texts, str) or not isinstance(texts, Iterable) else list(texts)
    for number, text in enumerate(given):
        if not isinstance(text, str):
            raise DecodingError(f"A text must be a str. Received: {type(text).__name__}, as text {number}.")
    return given


def read_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of texts, of whatever can be gone through, as a list.

    Raises:
        DecodingError: one of them is no pair of texts.
    """
    given = list(pairs)
    for number, pair in enumerate(given):
        is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2
        if not is_pair or not all(isinstance(text, str) for text in pair):
            raise DecodingError(f"A pair must be two texts, source and target. Received: {pair!r}, as pair {number}.")
    return given


def clean(text: str) -> str:
    """The text without lone surrogates, as bytes that are no UTF-8 become with `surrogateescape`."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def batches_of(numbers: Iterable[int], lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Group numbers, longest first, so that the lengths of a group add up to `limit` at most, or it holds but one."""
    batch: list[int] = []
    tokens = 0
    for number in sorted(numbers, key=lambda number: -lengths[number]):
        if batch and tokens + lengths[number] > limit:
            yield batch
            batch, tokens = [], 0
        batch.append(number)
        tokens += lengths[number]
    if batch:
        yield batch
