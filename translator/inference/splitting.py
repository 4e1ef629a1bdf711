"""Splitting of text into sentences, and of sentences that exceed the model's limit into clauses, words or characters.

Joined, the parts contain every character of the text except the white space at the cuts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from translator.inference.abbreviations import (
    BEFORE_NUMBERS,
    DETERMINERS,
    LETTERED,
    NEVER_LAST,
    PRONOUNS,
    SELDOM_LAST,
    STARTERS,
    TITLES,
)

# A candidate for the end of a sentence: marks, closing quotes and white space; or CJK marks; or white space with a line
# break. The lookbehind and lookahead of the third alternative keep the search linear on long runs of spaces.
_CANDIDATE = re.compile(
    r"(?<![.!?…؟])(?P<marks>[.!?…؟]++)(?P<closing>(?:\s*[»”\"’')\]])*)(?P<space>\s+)"
    r"|(?P<cjk>[。！？]+[」』”]*\s*)"
    r"|(?<!\s)(?=\s*[\n\r\x85\u2028\u2029])(?P<break>\s+)"
)
_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028]")
_CLAUSE_END = re.compile(r"[,;:،؛)\]»]\s+|\s[–—-]\s|[，、；：]")
_WORD_END = re.compile(r"\s+")

_WORD_BEFORE = re.compile(r"[^\s()\[\]{}«»“”\"'’‘/]+\Z")
_WORD_AFTER = re.compile(r"[^\W\d_]+")
_NUMBER_AFTER = re.compile(r"\d|[IVXLC]+\b(?!['’])|[A-Z]\.?[ \u00a0\u202f]?\d")
_ITEM_AFTER = re.compile(r"(?:[a-z]|[ivx]{2,4})[.)]\s+[^\W\d_a-z]")  # "b) Coupez", the next item of a list on one line
_PUNCTUATION = re.compile(r"[,=%»”)\]}]|[;:](?!\s*[-()])")  # not `:-)`
_DASH = re.compile(r"[–—-]\s+")
_LIST_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,3})*|[IVXLC]+|[ivx]+|[a-z]")
_INITIAL = re.compile(r"[^\W\d_](?:\.?-[^\W\d_])*")
_DOTTED = re.compile(r"[^\W\d_]{1,2}(?:\.-?[^\W\d_]{1,2})+")

_MAX_WORD = 24  # characters before a mark that are searched for an abbreviation
_MAX_PREFIX = 40  # characters before a word that may precede the first word of a sentence
_MAX_COMBINING = 8  # combining marks on one letter before they are cut like letters


def split_text(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Split a text into parts that fit.

    Each sentence becomes a part. A sentence that does not fit is halved at the clause, else word, else character
    boundary nearest to its middle, and the halves are split in the same way.

    Args:
        text: text to split.
        fits: predicate that is True if the model accepts a text. A single character is never split.

    Returns:
        Parts in order, without surrounding white space; an empty list if the text is white space.
    """
    return [part for sentence in sentences_of(text) for part in _halve(sentence, fits)]


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text, without surrounding white space."""
    return [sentence for part in sentence_spans(text) if (sentence := part.strip())]


def sentence_spans(text: str) -> Iterator[str]:
    """Yield the sentences of a text with the white space around them; joined, they are the text.

    A line break is white space; a blank line ends a sentence. A run without letters and digits (`Non ! ! !`) belongs to
    the sentence before it.
    """
    beginning = None  # of the sentence that is complete but for marks that may follow
    start = 0  # of the run after the last boundary
    for match in _CANDIDATE.finditer(text):
        if not _is_boundary(text, start, match):
            continue
        if any(map(str.isalnum, text[start : match.end()])):
            if beginning is not None:
                yield text[beginning:start]
            beginning = 0 if beginning is None else start
        start = match.end()
    if beginning is not None and any(map(str.isalnum, text[start:])):
        yield text[beginning:start]
        beginning = start
    yield text[beginning or 0 :]


def _is_boundary(text: str, start: int, match: re.Match[str]) -> bool:
    """Return True if a sentence that begins at or after `start` ends at the candidate."""
    if match["cjk"]:
        return True
    if _is_paragraph_break(match["break"] or match["space"]):
        return True
    if match["break"]:
        return False
    following = text[match.end() : match.end() + _MAX_PREFIX]
    if _continues_sentence(following):
        return False
    if match["marks"] != "." or match["closing"]:
        return True
    return not _is_abbreviated(text, start, match.start(), following)


def _is_paragraph_break(space: str) -> bool:
    return "\u2029" in space or len(_LINE_BREAK.findall(space)) > 1


def _continues_sentence(following: str) -> bool:
    """Return True if the text after a mark cannot begin a sentence."""
    if _ITEM_AFTER.match(following):
        return False
    if dash := _DASH.match(following):
        following = following[dash.end() :]
    return following[:1].islower() or bool(_PUNCTUATION.match(following))


def _is_abbreviated(text: str, start: int, dot: int, following: str) -> bool:
    """Return True if the period at `dot` marks an abbreviation, an initial or a list number inside a sentence.

    Args:
        text: whole text.
        start: first position of the sentence.
        dot: position of the period.
        following: text after the period and its white space.
    """
    before = _WORD_BEFORE.search(text, max(start, dot - _MAX_WORD), dot)
    if before is None:
        return False
    word, place = before[0].lstrip("-–—"), before.start()
    is_first = place - start <= _MAX_PREFIX and not any(map(str.isalnum, text[start:place]))
    preceding = text[max(start, place - _MAX_WORD) : place].split()
    previous = preceding[-1] if preceding else ""
    if is_first and (_LIST_NUMBER.fullmatch(word) or _is_initial(word)):
        return True
    name = word.casefold()
    if name in NEVER_LAST or f"{previous} {name}".casefold() in NEVER_LAST:
        return True
    if name in BEFORE_NUMBERS and _NUMBER_AFTER.match(following):
        return True
    next_word = _next_word(following)
    if _is_title(word):
        return bool(next_word) and next_word.casefold() not in PRONOUNS
    if _is_initial(word):
        return _is_initial_of_name(previous, next_word)
    if name in SELDOM_LAST:
        return not _is_starter(next_word)
    return bool(_DOTTED.fullmatch(word) and next_word) and not _is_starter(next_word)


def _is_title(word: str) -> bool:
    return word in TITLES or (word.isupper() and word.capitalize() in TITLES)


def _is_initial(word: str) -> bool:
    """Return True for `J`, `É` and `J.-J`."""
    return bool(_INITIAL.fullmatch(word)) and all(part.isupper() for part in re.split(r"\.?-", word))


def _is_initial_of_name(previous: str, next_word: str) -> bool:
    """Return True if the initial between two words belongs to a name, rather than ending a sentence as in `plan B`."""
    if not next_word:
        return False
    if previous.endswith(".") and (_is_initial(previous[:-1]) or _is_title(previous[:-1])):
        return True
    return not _is_starter(next_word) and previous.casefold() not in LETTERED


def _is_starter(word: str) -> bool:
    """Return True if a word after an abbreviation begins a sentence.

    In capitals, any word could be inside a sentence: there, only pronouns and determiners begin one.
    """
    if len(word) > 1 and word.isupper():
        return word.casefold() in PRONOUNS or word.casefold() in DETERMINERS
    return word.casefold() in STARTERS


def _next_word(following: str) -> str:
    """Return the word that the text begins with, or an empty string.

    An abbreviation and a single letter keep the character after them, so that they equal no word of the lists. `L'` is
    returned as `L`.
    """
    match = _WORD_AFTER.match(following)
    if match is None:
        return ""
    after = following[match.end() : match.end() + 1]
    is_letter = len(match[0]) == 1 and match[0] not in "AÀY" and after not in ("'", "’")
    return match[0] + after if after == "." or is_letter else match[0]


def _halve(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    text = text.strip()
    if len(text) <= 1 or fits(text):
        yield from [text] if text else []
        return
    cut = _middle_cut(text)
    yield from _halve(text[:cut], fits)
    yield from _halve(text[cut:], fits)


def _middle_cut(text: str) -> int:
    """Return the boundary nearest to the middle of a text that leaves each part at least a quarter."""
    middle = len(text) // 2
    for boundary in (_CLAUSE_END, _WORD_END):
        cuts = [end for end in _ends(boundary, text) if len(text) <= 4 * end <= 3 * len(text)]
        if cuts:
            return min(cuts, key=lambda cut: abs(cut - middle))
    letters = range(middle, min(middle + _MAX_COMBINING, len(text)))
    return next((cut for cut in letters if not _is_combining(text[cut])), middle)


def _is_combining(character: str) -> bool:
    """Return True for combining marks, variation selectors and the zero-width joiner."""
    return unicodedata.category(character) in ("Mn", "Me", "Mc") or character == "\u200d"


def _ends(pattern: re.Pattern[str], text: str) -> list[int]:
    return [match.end() for match in pattern.finditer(text)]
