"""Words of a text, as word alignments number them, and the tokens of each."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from translator.tokenizer.normalization import SPACE_MARK

_APOSTROPHE = "['\u2019]"
# Numbers; words that hold an apostrophe; "n't" and "'ll" of English; words with the apostrophe of a French elision;
# and any other character.
_WORD = re.compile(
    r"\d+(?:[.,]\d+)*"
    rf"|aujourd{_APOSTROPHE}hui|o{_APOSTROPHE}clock"
    rf"|\w+?(?=n{_APOSTROPHE}t\b)|n{_APOSTROPHE}t\b|{_APOSTROPHE}(?:s|m|re|ve|ll|d)\b"
    rf"|\w+(?:-\w+)*(?={_APOSTROPHE}(?:s|m|re|ve|ll|d)\b)|\w+(?:-\w+)*{_APOSTROPHE}?|[^\w\s]",
    re.IGNORECASE,
)


def words_in(text: str) -> list[str]:
    """Return the words of a text; punctuation marks are words."""
    return _WORD.findall(text)


def words_of(pieces: Sequence[str]) -> tuple[list[str], list[list[int]]]:
    """Return the words of a text, and the indices of the tokens that overlap each of them."""
    spelled = list(_spelled(pieces))
    text = "".join(spelled)
    ends = [0]
    for part in spelled:
        ends.append(ends[-1] + len(part))
    words, groups = [], []
    for match in _WORD.finditer(text):
        words.append(match.group())
        groups.append(list(range(bisect_right(ends, match.start()) - 1, bisect_left(ends, match.end()))))
    return words, groups


def _spelled(pieces: Sequence[str]) -> Iterator[str]:
    """Yield the text of each token; the first of several byte tokens in a row has the text of all."""
    place = 0
    while place < len(pieces):
        end = place
        while end < len(pieces) and re.fullmatch("<0x[0-9A-F]{2}>", pieces[end]):
            end += 1
        if end == place:
            yield pieces[place].replace(SPACE_MARK, " ")
            place += 1
            continue
        yield bytes(int(piece[3:5], 16) for piece in pieces[place:end]).decode("utf-8", "replace")
        yield from [""] * (end - place - 1)
        place = end
