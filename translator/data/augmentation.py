"""Source texts as people type them: without capitals, accents, punctuation, with typos.

A model that has only read careful text fails on careless text; seeing some of it in training, beside the translation
of what was meant, mends most of that (Belinkov and Bisk, 2018).
"""

from __future__ import annotations

import random
import unicodedata

from translator.config import AugmentationConfig

_WORDS_PER_TYPO = 8
_FINAL_PUNCTUATION = ".!?… \u00a0\u202f"
_APOSTROPHES = "'\u2019"
_ROWS = ("azertyuiop", "qsdfghjklm", "wxcvbn")  # of a French keyboard


def careless(text: str, config: AugmentationConfig, seed: int) -> str:
    """The text as it might have been typed in a hurry: a function of the arguments.

    Args:
        text: as it was written with care.
        config: how often what is left out or mistaken.
        seed: of the draws; each kind draws once whether it happens.
    """
    rng = random.Random(seed)
    happens = [
        rng.random() < share
        for share in (
            config.typos,
            config.final_punctuation,
            config.apostrophes,
            config.accents,
            config.lowercase,
        )
    ]
    if not any(happens):
        return text
    has_typos, lacks_punctuation, lacks_apostrophes, lacks_accents, is_lowercase = happens
    careful = text
    if has_typos:
        text = with_typos(text, rng)
    if lacks_punctuation:
        text = text.rstrip(_FINAL_PUNCTUATION)
    if lacks_apostrophes:
        text = text.translate(dict.fromkeys(map(ord, _APOSTROPHES), rng.choice(("", " "))))
    if lacks_accents:
        text = without_accents(text)
    if is_lowercase:
        text = text.lower()
    return text if text.strip() else careful


def without_accents(text: str) -> str:
    """The text with every letter as its base letter: `été` is `ete`, `ça` is `ca`; ligatures stay."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def with_typos(text: str, rng: random.Random) -> str:
    """The text with slips of the finger in about one word of eight, in one at least if a word has four letters."""
    words = text.split(" ")
    long_words = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    count = min(len(long_words), max(1, round(len(words) / _WORDS_PER_TYPO)))
    for place in rng.sample(long_words, count):
        words[place] = _slip(words[place], rng)
    return " ".join(words)


def _slip(word: str, rng: random.Random) -> str:
    """A word with one letter, not the first, doubled, left out, swapped with the next or mistaken for a neighbour."""
    place = rng.randrange(1, len(word) - 1)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    match rng.randrange(4):
        case 0:
            return before + letter + letter + after
        case 1:
            return before + after
        case 2:
            return before + after[0] + letter + after[1:]
        case _:
            return before + _neighbour(letter, rng) + after


def _neighbour(letter: str, rng: random.Random) -> str:
    """A letter beside this one on a French keyboard; one that has no key of its own stays."""
    for row in _ROWS:
        if letter in row:
            place = row.index(letter)
            return rng.choice(row[max(0, place - 1) : place] + row[place + 1 : place + 2])
    return letter
