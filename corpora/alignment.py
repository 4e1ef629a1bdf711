"""Word alignments by construction: words carry marks while a sentence pair is generated, and equal marks are linked.

A mark is one private-use character after the letters that it belongs to: after a word, or after a part of a word such
as `j'` in `j'ai` or `do` in `don't`. It stands for one constituent of the sentence. The grammar gives the same mark to
the words that render this constituent in French and in English. `plain` removes all marks.

Tokens are words, numbers and single punctuation characters, numbered from 0 in each sentence. Elided French words
(`l'`, `qu'`) and English contractions (`n't`, `'s`, `'ll`) are tokens of their own. Hyphenated words are one token.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import count, cycle
from typing import NamedTuple

_FIRST, _NUM_MARKS = 0xF0000, 65_000  # private use; far more than one sentence needs
_OPEN = "\U000ffffd"  # on words that have a mark and take another: au, of which only "le" has been marked
_MARKS = re.compile("[\U000f0000-\U000ffffd]+")
_LAST_MARKS = re.compile("[\U000f0000-\U000ffffd]*$")
_FRENCH_TOKEN = re.compile(r"\d+(?:,\d+)*|aujourd'hui|\w+(?:-\w+)*'?|[^\w\s]")
_ENGLISH_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|o'clock|\w+?(?=n't\b)|n't\b|'(?:s|m|re|ve|ll|d)\b|\w+(?:-\w+)*|[^\w\s]")
_QUOTES = str.maketrans("«»", '""')
_numbers = cycle(range(_NUM_MARKS))


class Alignment(NamedTuple):
    """Links between the tokens of a sentence pair, in Pharaoh form: `i-j` links French token i with English token j.

    Attributes:
        sure: links of constituents that are a single token in at least one of the languages.
        possible: links of constituents of several tokens in both languages, which the grammar renders as a whole (`hier
            soir`, `last night`): every token with every token.
    """

    sure: str
    possible: str


def new_mark() -> str:
    """Return a mark for another constituent."""
    return chr(_FIRST + next(_numbers))


def plain(text: str) -> str:
    """Return a text without marks."""
    return _MARKS.sub("", text)


def mark(text: str, marks: str) -> str:
    """Add marks to the words and parts of words that have none."""
    if not text or not marks:
        return text
    return " ".join(_mark_word(word, marks) if word else word for word in text.split(" "))


def _mark_word(word: str, marks: str) -> str:
    if _OPEN in word:
        word = word.replace(_OPEN, marks)
    return word if _MARKS.match(word[-1]) else word + marks


def add_mark(word: str, marks: str) -> str:
    """Add marks to the first word of a text, whether it has any or not."""
    head, space, rest = word.partition(" ")
    return head + marks + space + rest


def opened(word: str) -> str:
    """Let a word that has marks take another one."""
    return word + _OPEN


def closed(word: str) -> str:
    """Return a word without marks as a part of its own, for a marked word that follows it without a space."""
    return word if _MARKS.match(word[-1]) else word + _OPEN


def split_marks(word: str) -> tuple[str, str]:
    """Split a word into its text and the marks at its end."""
    end = _LAST_MARKS.search(word)
    assert end
    return word[: end.start()], end[0]


def linked(french: str, english: str) -> tuple[str, str]:
    """Link the words of two phrases that have no marks yet: together they render each other."""
    constituent = new_mark()
    return mark(french, constituent), mark(english, constituent)


def parallel(french: str, english: str) -> tuple[str, str]:
    """Link two phrases part by part: "il|pleut" and "it|rains".

    Parts are joined by spaces, except behind a French and before an English apostrophe.
    """
    pairs = [linked(*parts) for parts in zip(french.split("|"), english.split("|"), strict=True)]
    whole = ""
    for part, _ in pairs:
        whole += part if not whole or plain(whole).endswith("'") else f" {part}"
    translation = ""
    for _, part in pairs:
        translation += part if not translation or part.startswith("'") else f" {part}"
    return whole, translation


def align(french: str, english: str) -> Alignment:
    """Return the alignment of two marked sentences."""
    sides: list[dict[str, set[int]]] = []
    for text, pattern in ((french, _FRENCH_TOKEN), (english, _ENGLISH_TOKEN)):
        letters, marks_of = _unmarked(text)
        tokens = defaultdict(set)
        for number, token in enumerate(pattern.finditer(letters)):
            for marks in marks_of[token.start() : token.end()] if _is_word(token[0]) else ():
                for one in marks:
                    tokens[one].add(number)
        sides.append(tokens | _punctuation(letters, pattern))
    sure: set[tuple[int, int]] = set()
    possible: set[tuple[int, int]] = set()
    for constituent in sides[0].keys() & sides[1].keys():
        ours, theirs = sides[0][constituent], sides[1][constituent]
        links = {(i, j) for i in ours for j in theirs}
        (sure if min(len(ours), len(theirs)) == 1 else possible).update(links)
    return Alignment(_pharaoh(sure), _pharaoh(possible - sure))


def french_tokens(text: str) -> list[str]:
    """Return the tokens of a French sentence that alignments number."""
    return _FRENCH_TOKEN.findall(text)


def english_tokens(text: str) -> list[str]:
    """Return the tokens of an English sentence that alignments number."""
    return _ENGLISH_TOKEN.findall(text)


def _pharaoh(links: set[tuple[int, int]]) -> str:
    return " ".join(f"{i}-{j}" for i, j in sorted(links))


def _is_word(token: str) -> bool:
    return any(character.isalnum() for character in token)


def _unmarked(text: str) -> tuple[str, list[str]]:
    """Return the text without marks, and the marks of each of its characters."""
    letters: list[str] = []
    marks_of: list[str] = []
    for part in re.finditer(r"([^\U000f0000-\U000ffffd]+)([\U000f0000-\U000ffffd]*)", text):
        letters.append(part[1])
        last = part[1].rpartition(" ")[2]  # marks belong to the letters since the last space
        marks = part[2].replace(_OPEN, "")
        marks_of += [""] * (len(part[1]) - len(last)) + [marks] * len(last)
    return "".join(letters), marks_of


def _punctuation(text: str, pattern: re.Pattern[str]) -> dict[str, set[int]]:
    """Return each punctuation token under its character, its ordinal number and the number of all alike."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, token in enumerate(pattern.finditer(text.translate(_QUOTES))):
        if not _is_word(token[0]):
            numbers[token[0]].append(number)
    return {
        f"{character} {ordinal} of {len(found)}": {number}
        for character, found in numbers.items()
        for ordinal, number in zip(count(1), found, strict=False)
    }
