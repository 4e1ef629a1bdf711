"""Normalization of text before it is split into pieces. docs/tokenizer.md lists what `standard` rewrites."""

from __future__ import annotations

import itertools
import re
import unicodedata

import sentencepiece as spm

from translator.tokenizer.invisible import COMMON, JOINERS, is_invisible, remove_invisible

SPACE_MARK = "\u2581"  # stands for a space in pieces; in text it would be mistaken for one

_APOSTROPHES = "\u2018\u2019\u02bc"
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_LINE_SEPARATORS = "\u2028\u2029"
_CONTROLS = "".join(map(chr, [*range(1, 0x20), *range(0x7F, 0xA0)]))  # without NUL, which rules cannot name
_SURROGATES = re.compile("[\ud800-\udfff]")

# Byte pieces can spell control characters that were in no text. In output they would break a line or a column.
CONTROLS_TO_SPACES = {ord(character): " " for character in "\0" + _CONTROLS + _LINE_SEPARATORS}


def encodable(text: str) -> str:
    """Return a text that SentencePiece accepts: without NUL, which its rules cannot name, and lone surrogates.

    Invisible characters are removed here as well as by the rules of the model: older models have fewer rules.
    """
    if text.isascii():
        return text.replace("\0", " ") if "\0" in text else text
    text = text.replace("\0", " ")
    if COMMON.issuperset(text):
        return text
    return _SURROGATES.sub("\ufffd", remove_invisible(text))


def make_normalizer(normalization: str) -> spm.SentencePieceNormalizer:
    """Return SentencePiece's normalizer for a value of `tokenizer.normalization`."""
    is_standard = normalization == "standard"
    return spm.SentencePieceNormalizer(
        rule_name=None if is_standard else normalization,
        norm_map=list(standard_rules().items()) if is_standard else None,
        add_dummy_prefix=True,
        remove_extra_whitespaces=True,
        escape_whitespaces=True,
    )


def standard_rules() -> dict[str, str]:
    """Return the rules of the `standard` normalization: text to replacement; the longest match applies."""
    rules = dict.fromkeys(_APOSTROPHES, "'")
    rules |= dict.fromkeys(_SPACES + _LINE_SEPARATORS + _CONTROLS + SPACE_MARK, " ")
    rules |= dict.fromkeys(filter(is_invisible, map(chr, range(0x80, 0x10000))), "")
    for joiner in JOINERS:
        del rules[joiner]  # needed or not, depending on what is before it
    for code in itertools.chain(range(0xC0, 0x250), range(0x1E00, 0x1F00)):
        letter = chr(code)
        for spelling in _decomposed_spellings(letter):
            rules[spelling] = letter
    return rules


def _decomposed_spellings(letter: str) -> set[str]:
    """Return all other sequences of letter and combining marks that canonical composition (NFC) makes `letter`."""
    decomposed = unicodedata.normalize("NFD", letter)
    base, marks = decomposed[0], decomposed[1:]
    spellings = set()
    for order in itertools.permutations(marks):
        for composed in range(len(marks)):
            start = unicodedata.normalize("NFC", base + "".join(order[:composed]))
            spelling = start + "".join(order[composed:])
            if unicodedata.normalize("NFC", spelling) == letter:
                spellings.add(spelling)
    return spellings - {letter}
