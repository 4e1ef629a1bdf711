"""Translations of pieces of a sentence, written as inside the sentence."""

from __future__ import annotations

_FINAL = ".!?…"


def as_inside(source: str, target: str, *, is_first: bool, is_last: bool) -> str:
    """Return the translation of a piece of a sentence as it is written inside the sentence.

    Args:
        source: the piece.
        target: its translation, which may begin and end like a sentence.
        is_first: whether the piece begins the sentence.
        is_last: whether it ends the sentence.
    """
    if not is_last and source.rstrip()[-1:] not in _FINAL:
        target = target.rstrip(_FINAL) or target
    first = target.split(" ", 1)[0]
    if not is_first and source[:1].islower() and first[1:].islower():
        target = target[:1].lower() + target[1:]
    return target
