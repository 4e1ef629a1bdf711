"""Languages of parallel text, identified by character n-grams (Lui and Baldwin, 2012; py3langid)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from translator.data.files import Row

_MIN_CHARACTERS = 20  # shorter texts are names, numbers and words that several languages share
_MIN_PROBABILITY = 0.95


@dataclass(frozen=True)
class LanguageReport:
    """Languages of a sample of rows.

    Attributes:
        rows: number of rows that are long enough to be judged.
        common: most frequent language of each side, among all languages; None without rows.
        foreign: number of rows in which a side is in the language of the other side.
        swapped: number of those in which both sides are.
        example: one of these rows; None if there is none.
    """

    rows: int
    common: tuple[str | None, ...]
    foreign: int = 0
    swapped: int = 0
    example: Row | None = None


def has_identifier() -> bool:
    """Return True if py3langid is installed."""
    return find_spec("py3langid") is not None


@cache
def identifier_of(languages: tuple[str, ...]) -> Any:
    """Load a py3langid identifier, which takes about a second.

    Args:
        languages: codes of the languages to choose from; none for all that py3langid identifies.

    Returns:
        The identifier, or None if py3langid does not identify one of the languages.
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if not set(languages) <= set(identifier.labels):
        return None
    if languages:
        identifier.set_languages(list(languages))
    return identifier


def identify_languages(rows: Sequence[Row], expected: Sequence[str]) -> LanguageReport:
    """Identify the languages of rows of text.

    Args:
        rows: rows of text; texts beyond the number of `expected` languages are not read.
        expected: language of the first text of each row, and of the second.
    """
    everything = identifier_of(())
    judged = [row for row in rows if all(len(text) >= _MIN_CHARACTERS for text in row[: len(expected)])]
    common = tuple(
        _most_common([str(everything.classify(row[side])[0]) for row in judged]) for side in range(len(expected))
    )
    if len(set(expected)) < 2 or not set(expected) <= known_languages():
        return LanguageReport(len(judged), common)
    either = identifier_of(tuple(expected))
    foreign = swapped = 0
    example = None
    for row in judged:
        is_foreign = [_is_sure(either.classify(row[side]), expected[1 - side]) for side in (0, 1)]
        foreign += any(is_foreign)
        swapped += all(is_foreign)
        example = row if any(is_foreign) and example is None else example
    return LanguageReport(len(judged), common, foreign, swapped, example)


def known_languages() -> frozenset[str]:
    """Return the codes of the languages that can be identified (ISO 639-1)."""
    return frozenset(identifier_of(()).labels)


def _most_common(labels: Sequence[str]) -> str | None:
    return Counter(labels).most_common(1)[0][0] if labels else None


def _is_sure(found: tuple[str, float], language: str) -> bool:
    return found[0] == language and found[1] >= _MIN_PROBABILITY
