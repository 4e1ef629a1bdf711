"""Split text that is longer than the model takes: at sentences, else clauses, else words, else characters.

Nothing is lost: put together, the parts hold every character of the text but the white space where it was cut.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise

# The end of a sentence, with what closes it and the space after it: `. `, ` ! » `, `。`, or a line break.
_SENTENCE_END = re.compile(r"(?<![.!?…؟])[.!?…؟]++(?:\s*[»”\"’')\]])*\s+|[。！？]+[」』”]*\s*|[\n\r\u2028\u2029]+")
_CLAUSE_END = re.compile(r"[,;:،؛)\]»]\s+|\s[–—-]\s|[，、；：]")
_WORD_END = re.compile(r"\s+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(«“])(?:MM|Mme|Mlle|Mgr|Me|Dr|Pr|St|Ste|Mr|Mrs|Ms|Prof|av|apr|cf|ex|env|fig|vol|art|\w|\w\.-\w)\.\s+$",
    re.IGNORECASE,
)
_MOST_MARKS = 8  # accents on one letter, before they are cut like letters


def split_text(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The text in parts that fit.

    Each sentence becomes a part, because that is what the model learned from; a sentence that does not fit is halved
    at the clause, else word, else character boundary nearest to its middle, and its halves likewise.

    Args:
        text: what to split.
        fits: whether the model takes a text. A single character is never split, whether it fits or not.

    Returns:
        Parts in their order, without white space around them; none if the text is nothing else.
    """
    return [part for sentence in sentences_of(text) for part in _halved(sentence, fits)]


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, without white space around them."""
    return [sentence for part in sentence_spans(text) if (sentence := part.strip())]


def sentence_spans(text: str) -> Iterator[str]:
    """The sentences of a text with the white space around them: put together, they are the text.

    What holds no letter and no digit is no sentence of its own (`Non ! ! !`): it goes with the one before.
    """
    ends = [end for end in _ends(_SENTENCE_END, text) if _is_sentence_end(text, end)]
    beginning = None
    for start, end in pairwise([0, *ends, len(text)]):
        if any(map(str.isalnum, text[start:end])):
            if beginning is not None:
                yield text[beginning:start]
            beginning = 0 if beginning is None else start
    yield text[beginning or 0 :]


def _is_sentence_end(text: str, end: int) -> bool:
    """Whether a sentence ends here: not after `M. ` or an initial, and not before a small letter."""
    before = text[max(0, end - 12) : end]
    if before.rstrip(" \t").endswith(("\n", "\r", "\u2028", "\u2029")):
        return True
    return not text[end : end + 1].islower() and not _ABBREVIATION.search(before)


def _halved(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    text = text.strip()
    if len(text) <= 1 or fits(text):
        yield from [text] if text else []
        return
    cut = _cut(text)
    yield from _halved(text[:cut], fits)
    yield from _halved(text[cut:], fits)


def _cut(text: str) -> int:
    """Where to halve a text: the boundary nearest to its middle that leaves each part at least a quarter."""
    middle = len(text) // 2
    for boundary in (_CLAUSE_END, _WORD_END):
        cuts = [end for end in _ends(boundary, text) if len(text) <= 4 * end <= 3 * len(text)]
        if cuts:
            return min(cuts, key=lambda cut: abs(cut - middle))
    letters = range(middle, min(middle + _MOST_MARKS, len(text)))
    return next((cut for cut in letters if not _continues(text[cut])), middle)


def _continues(character: str) -> bool:
    """Whether a character belongs to the one before it: an accent, a variation selector, a joiner."""
    return unicodedata.category(character) in ("Mn", "Me", "Mc") or character == "\u200d"


def _ends(pattern: re.Pattern[str], text: str) -> list[int]:
    return [match.end() for match in pattern.finditer(text)]
