"""Typing noise in source texts: missing capitals, accents and punctuation, and typos.

A model trained on clean text alone translates noisy text badly. Training on some noisy sources with their clean
translations removes most of that loss (Belinkov and Bisk, 2018).
"""

from __future__ import annotations

import random
import unicodedata

from translator.config import AugmentationConfig

_WORDS_PER_TYPO = 8
_FINAL_PUNCTUATION = ".!?… \u00a0\u202f"
_APOSTROPHES = "'\u2019"
_ROWS = ("azertyuiop", "qsdfghjklm", "wxcvbn")  # of a French keyboard


def add_typing_noise(text: str, config: AugmentationConfig, seed: int) -> str:
    """Return a text with typing noise, as a function of the arguments.

    Args:
        text: clean text.
        config: probability of each kind of noise.
        seed: random seed of this text.
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
    clean = text
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
    return text if text.strip() else clean


def without_accents(text: str) -> str:
    """Return the text with accents removed: `été` gives `ete`, `ça` gives `ca`. Ligatures are kept."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def with_typos(text: str, rng: random.Random) -> str:
    """Return the text with typos in about one word of eight, and in at least one word of four or more letters."""
    words = text.split(" ")
    long_words = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    count = min(len(long_words), max(1, round(len(words) / _WORDS_PER_TYPO)))
    for place in rng.sample(long_words, count):
        words[place] = _slip(words[place], rng)
    return " ".join(words)


def _slip(word: str, rng: random.Random) -> str:
    """Return a word with one letter, not the first, doubled, omitted, swapped or replaced by a neighbor."""
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
            return before + _neighbor(letter, rng) + after


def _neighbor(letter: str, rng: random.Random) -> str:
    """Return a letter next to this one on a French keyboard, or the letter itself if it has no key of its own."""
    for row in _ROWS:
        if letter in row:
            place = row.index(letter)
            return rng.choice(row[max(0, place - 1) : place] + row[place + 1 : place + 2])
    return letter
