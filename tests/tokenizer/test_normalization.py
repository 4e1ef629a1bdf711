from __future__ import annotations

import unicodedata

import pytest
from syllables import TEXT, config

from translator.tokenizer import Tokenizer, standard_rules
from translator.tokenizer.invisible import is_invisible


@pytest.mark.parametrize(
    ("written", "rewritten"),
    [
        ("l’été ‘a’ aʼb", "l'été 'a' a'b"),
        ("10\u00a0000\u202f€\u2009!", "10 000 € !"),
        ("\u3000a\u2003b\u205fc", "a b c"),
        ("co\u00adopé\u200brer\ufeff\u2060", "coopérer"),
        ("e\u0301te\u0301 franc\u0327ais", "été français"),
        ("\u0323e\u0302\u0323", "\u0323ệ"),
        ("a\tb\r\nc\x0bd\x00e\x1cf\x85g\u2028h\u2029i", "a b c d e f g h i"),
        ("a \u2581 b", "a b"),
        ("  deux   mots  ", "deux mots"),
        ("👩\u200d💻 می\u200cروم", "👩\u200d💻 می\u200cروم"),
        ("a\ud800b", "a\ufffdb"),
        ("", ""),
        (" \u00a0\t", ""),
    ],
)
def test_standard_normalization_rewrites_typography_alone(tokenizer: Tokenizer, written: str, rewritten: str) -> None:
    assert tokenizer.decode(tokenizer.encode(written)) == rewritten
    assert tokenizer.normalize(written) == rewritten


def test_latin_letters_are_composed_as_unicode_composes_them(tokenizer: Tokenizer) -> None:
    composed = [chr(code) for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))]
    for letter in composed:
        for form in ("NFC", "NFD"):
            spelling = unicodedata.normalize(form, letter)
            assert tokenizer.normalize(f"a{spelling}b") == unicodedata.normalize("NFC", f"a{letter}b"), letter
    assert all(
        len(spelling) > 1 or not spelling.isalpha() or spelling == "ʼ" or is_invisible(spelling)
        for spelling in standard_rules()
    )


@pytest.mark.parametrize(
    ("normalization", "expected"), [("nmt_nfkc", "l’a ½".replace("½", "1⁄2")), ("identity", "l’a ½")]
)
def test_sentencepieces_own_normalizations_are_there(normalization: str, expected: str) -> None:
    tokenizer = Tokenizer.train(TEXT, config(normalization=normalization), seed=1)
    assert tokenizer.decode(tokenizer.encode("l’a ½")) == expected
