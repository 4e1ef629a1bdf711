"""Counts of gross translation failures: empty, copied from the source, or looping."""

from __future__ import annotations

import re
from collections.abc import Sequence

# One to four words, at least four times in a row.
_LOOP = re.compile(r"\b((?:\S+\s+){0,3}\S+)(?:\s+\1){3,}", re.IGNORECASE)
_MIN_COPIED_WORDS = 4  # shorter texts, such as names, may be equal in both languages


def find_failures(sources: Sequence[str], hypotheses: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of failed translations by kind: `empty`, `copied` and `looping`.

    An empty source may have an empty translation, and a source that repeats itself a translation that does.

    Args:
        sources: source texts.
        hypotheses: their translations, in the same order.
    """
    failures: dict[str, list[int]] = {"empty": [], "copied": [], "looping": []}
    for index, (source, hypothesis) in enumerate(zip(sources, hypotheses, strict=True)):
        if not hypothesis.strip():
            if source.strip():
                failures["empty"].append(index)
        elif hypothesis.casefold() == source.casefold() and len(source.split()) >= _MIN_COPIED_WORDS:
            failures["copied"].append(index)
        elif _LOOP.search(hypothesis) and not _LOOP.search(source):
            failures["looping"].append(index)
    return failures
