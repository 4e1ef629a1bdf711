"""Folding of sentences typed in capitals, so that a model trained on ordinary text can read them.

Acronyms and Roman numerals keep their capitals. Lists cannot hold all acronyms, but the vocabulary shows them: it
spells a word that is common in ordinary text with fewer pieces in lowercase than in capitals.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from translator.inference.abbreviations import (
    ACRONYMS,
    BEFORE_NUMBERS,
    LETTERED,
    NEVER_LAST,
    SELDOM_LAST,
    TITLES,
    UNITS,
)
from translator.inference.splitting import sentence_spans
from translator.tokenizer import Tokenizer

_CAPITAL_PAIR = re.compile(r"[^\W\d_a-z]{2}")
_TOKEN = re.compile(r"\S+")
_WORD = re.compile(r"[^\W\d_]+")
_ADDRESS = re.compile(r"www\.|\w+://|[^\s@]+@[^\s@]+\.\w|[\w.-]+\.(?:fr|com|org|net|eu|be|ch|ca)\b", re.IGNORECASE)
_NUMERAL = re.compile(r"(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_ORDINAL = re.compile(r"([IVX]+)(ER|ÈRE|ERE|E|ÈME|EME)")
_PERIOD = re.compile(r"\.\s\Z")
_INITIAL = re.compile(r"(?:\A|[\s(«])[^\W\d_]\.\s\Z")  # "J. MARTIN", not "S.N.C.F. EST"
_NUMBER = re.compile(r"\d\s\Z")
_DATED = frozenset(["siècle", "siècles", "siecle", "siecles", "arrondissement", "république", "dynastie"])
_NUMBER_SUFFIXES = UNITS | {"ere", "eme", "nd", "nde"}

_ALWAYS_TITLES = {title.upper(): title for title in ("Mme", "Mmes", "Mlle", "Mlles", "MM", "Mgr", "Dr")}
_ABBREVIATIONS = BEFORE_NUMBERS | NEVER_LAST | SELDOM_LAST
_TITLES = {title.upper(): title for title in TITLES}

_MIN_CAPITAL_SHARE = 0.9  # of the letters, if there is a word in lowercase
_MIN_FOLDED_WORDS = 3  # if there is a word in lowercase
_MIN_WORDS = 3  # a sentence of this many words is not made of acronyms alone
_MAX_ACRONYM = 5  # letters; longer words in many pieces are names and rare words


def fold_capitals(text: str, tokenizer: Tokenizer) -> str:
    """Rewrite the sentences of a text that are in capitals in ordinary case.

    Sentences are folded one by one, single words included. Units, addresses and abbreviations in lowercase (`kg`,
    `www`, `n°`) do not prevent folding. Acronyms and Roman numerals keep their capitals.

    Args:
        text: text in any case.
        tokenizer: tokenizer of the text's language.

    Returns:
        The text with its sentences in capitals folded and all other sentences unchanged.
    """
    if not _CAPITAL_PAIR.search(text):
        return text
    spans = list(sentence_spans(text))
    capital = [_is_in_capitals(span) for span in spans]
    if not any(capital):
        return text
    ordinary = [word for span, folds in zip(spans, capital, strict=True) if not folds for word in _WORD.findall(span)]
    vocabulary = _Vocabulary(tokenizer, frozenset(ordinary))
    return "".join(_fold(span, vocabulary) if folds else span for span, folds in zip(spans, capital, strict=True))


def _is_in_capitals(sentence: str) -> bool:
    """Return True if the words of a sentence are in capitals, units, addresses, titles and numbers aside."""
    words = [
        word
        for token in _TOKEN.findall(sentence)
        if not _ADDRESS.search(token) and not any(map(str.isdigit, token))
        for word in _WORD.findall(token)
        if word not in TITLES and word not in UNITS
    ]
    capital = [word for word in words if 2 * sum(map(str.isupper, word)) > len(word)]
    num_capital, num_letters = sum(map(len, capital)), sum(map(len, words))
    return any(len(word) > 1 for word in capital) and num_capital >= _MIN_CAPITAL_SHARE * num_letters


@dataclass(frozen=True)
class _Vocabulary:
    """Evidence of how words are written in ordinary text.

    Attributes:
        tokenizer: tokenizer whose pieces spell the words.
        ordinary: words of the same text outside its sentences in capitals.
    """

    tokenizer: Tokenizer
    ordinary: frozenset[str]

    def num_pieces(self, word: str) -> int:
        """Return the number of pieces that spell a word."""
        return len(self.tokenizer.encode(word))

    def is_acronym(self, word: str) -> bool:
        """Return True if ordinary text has this word in capitals."""
        lower = word.lower()
        if word in self.ordinary or word in ACRONYMS:
            return True
        if lower in self.ordinary or len(word) > _MAX_ACRONYM:
            return False
        pieces = self.num_pieces(lower)
        if pieces == 1:
            return False
        return not _has_vowel(lower) or self.num_pieces(word) <= min(pieces, self.num_pieces(word.capitalize()))

    def is_certain_acronym(self, word: str) -> bool:
        """Return True if this word is an acronym whatever the vocabulary spells."""
        return word in self.ordinary or word in ACRONYMS or not _has_vowel(word.lower())

    def is_word(self, lower: str) -> bool:
        """Return True if ordinary text has this word in lowercase."""
        return lower in self.ordinary or self.num_pieces(lower) == 1

    def is_name(self, word: str) -> bool:
        """Return True if ordinary text has this word with a capital and seldom in lowercase."""
        name = word.capitalize()
        return name in self.ordinary or self.num_pieces(name) == 1 < self.num_pieces(word.lower())


def _fold(sentence: str, vocabulary: _Vocabulary) -> str:
    """Return a sentence in ordinary case; unchanged if it holds nothing but acronyms and numerals."""
    sentence = unicodedata.normalize("NFC", sentence)
    words = _words_outside_addresses(sentence)
    acronyms = _acronyms({word[0] for word in words if word[0].isupper() and len(word[0]) > 1}, vocabulary)
    is_first = not any(map(str.isalnum, sentence[: words[0].start()]))
    pieces, place, num_folded, previous = [], 0, 0, ""
    for word in words:
        written = _write(word, previous, acronyms, vocabulary) if word[0].isupper() else word[0]
        if is_first and written != word[0]:
            written = written[0].upper() + written[1:]
        pieces += [sentence[place : word.start()], written]
        num_folded += len(written) > 1 and written != word[0]
        place, previous, is_first = word.end(), written, False
    has_lowercase = any(word[0].islower() and word[0] not in UNITS for word in words)
    if num_folded < (_MIN_FOLDED_WORDS if has_lowercase else 1):
        return sentence
    return "".join([*pieces, sentence[place:]])


def _words_outside_addresses(sentence: str) -> list[re.Match[str]]:
    tokens = (token for token in _TOKEN.finditer(sentence) if not _ADDRESS.search(token[0]))
    return [word for token in tokens for word in _WORD.finditer(sentence, token.start(), token.end())]


def _acronyms(words: set[str], vocabulary: _Vocabulary) -> set[str]:
    """Return the acronyms among the words of a sentence.

    A vocabulary of characters spells every word like an acronym: then only the certain ones count.
    """
    acronyms = {word for word in words if vocabulary.is_acronym(word)}
    if acronyms == words and len(words) >= _MIN_WORDS:
        return {word for word in words if vocabulary.is_certain_acronym(word)}
    return acronyms


def _write(match: re.Match[str], previous: str, acronyms: set[str], vocabulary: _Vocabulary) -> str:
    """Return a word in capitals as ordinary text has it inside a sentence.

    Args:
        match: the word in its sentence.
        previous: the word before, as it was written.
        acronyms: words that keep their capitals.
        vocabulary: evidence of how words are written.
    """
    word, lower = match[0], match[0].lower()
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    if before.isdigit():
        return lower if lower in _NUMBER_SUFFIXES else word
    if len(word) > 1 and lower in _NUMBER_SUFFIXES and _NUMBER.search(_before(match)):
        return lower
    if after.isdigit():
        return word
    if len(word) == 1:
        return _write_letter(match, previous, before, after)
    if word in _ALWAYS_TITLES or (after == "." and word in _TITLES):
        return _TITLES[word]
    if after == "." and lower in _ABBREVIATIONS:
        return lower
    if ordinal := _ordinal(match):
        return ordinal
    if _is_numeral(word, vocabulary) or word in acronyms:
        return word
    is_after_title = previous.upper() in _ALWAYS_TITLES or (previous in TITLES and _PERIOD.search(_before(match)))
    if is_after_title or _INITIAL.search(_before(match)) or vocabulary.is_name(word):
        return word.capitalize()
    if after == "-" and vocabulary.is_name(_next_word(match)):
        return word.capitalize()
    return lower


def _write_letter(match: re.Match[str], previous: str, before: str, after: str) -> str:
    """Return a single letter: an elided word (`L'`), a word (`À`, `Y`), an initial, a label (`PLAN B`) or a numeral."""
    letter = match[0]
    if before == "-":
        return letter if _before(match).endswith(".-") else letter.lower()
    if after in ("'", "’", "-"):
        return letter.lower()
    is_label = after == "." or before == "." or previous.casefold() in LETTERED
    return letter.lower() if letter in "AÀYOÔCDJLMNST" and not is_label else letter


def _ordinal(match: re.Match[str]) -> str:
    """Return `XIVe` for `XIVE` and `Ier` for `IER`; empty for other words."""
    ordinal = _ORDINAL.fullmatch(match[0])
    if not ordinal or not _NUMERAL.fullmatch(ordinal[1]):
        return ""
    is_dated = _next_word(match).lower() in _DATED
    if is_dated or match[0] == "IER" or len(ordinal[1]) > 2:
        return ordinal[1] + ordinal[2].lower()
    return ""


def _is_numeral(word: str, vocabulary: _Vocabulary) -> bool:
    """Return True for Roman numerals, except words such as `DIX` and `MIX`."""
    if not _NUMERAL.fullmatch(word):
        return False
    return set(word) <= set("IVX") or (len(word) > 2 and not vocabulary.is_word(word.lower()))


def _next_word(match: re.Match[str]) -> str:
    """Return the word after a word, or an empty string."""
    following = _WORD.search(match.string, match.end())
    return following[0] if following else ""


def _before(match: re.Match[str]) -> str:
    """Return up to four characters before a word."""
    return match.string[max(0, match.start() - 4) : match.start()]


def _has_vowel(lower: str) -> bool:
    return any(letter in "aeiouyœæ" for letter in unicodedata.normalize("NFD", lower))
