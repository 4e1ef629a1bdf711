"""Removal of invisible characters, which split words and hide them from the vocabulary.

Invisible are the characters with the Unicode property Default_Ignorable_Code_Point or the category Cf (format), such as
directional controls, variation selectors, the soft hyphen and the byte order mark. The zero-width joiner and non-joiner
stay where emoji and scripts need them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

JOINERS = "\u200c\u200d"
# Category Cf, but visible: the property Prepended_Concatenation_Mark (signs that enclose numbers), and controls that
# arrange hieroglyphs.
_VISIBLE_FORMAT = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
) | frozenset(map(chr, range(0x13430, 0x13440)))
_MAX_MARKS = 8  # combining marks between a letter and its joiner


def remove_invisible(text: str) -> str:
    """Return a text without invisible characters.

    A joiner stays after an emoji and after a letter of a script without case, with or without combining marks.
    """
    if text.isascii() or COMMON.issuperset(text):
        return text
    invisible = {character for character in set(text) - COMMON if is_invisible(character)}
    if not invisible:
        return text
    kept: list[str] = []
    for character in text:
        if character not in invisible or (character in JOINERS and _takes_joiner(kept)):
            kept.append(character)
    return "".join(kept)


@lru_cache(maxsize=8192)
def is_invisible(character: str) -> bool:
    """Return True for a character that is default-ignorable or has the category Cf, joiners included.

    Python has no access to Default_Ignorable_Code_Point. Besides Cf, it holds variation selectors, fillers, three
    other marks, and unassigned code points that are reserved for such characters.
    """
    category = unicodedata.category(character)
    if category == "Cf":
        return character not in _VISIBLE_FORMAT
    if category == "Mn":
        return character in "\u034f\u17b4\u17b5" or "VARIATION SELECTOR" in unicodedata.name(character)
    if category == "Lo":
        return unicodedata.name(character, "").endswith("FILLER")
    code = ord(character)
    return category == "Cn" and (code == 0x2065 or 0xFFF0 <= code <= 0xFFF8 or 0xE0000 <= code <= 0xE0FFF)


def _takes_joiner(kept: Sequence[str]) -> bool:
    """Return True if a joiner after these characters is part of an emoji or of a word."""
    for character in reversed(kept[-_MAX_MARKS:]):
        category = unicodedata.category(character)
        if category[0] != "M":
            return category in ("Lo", "So", "Sk")
    return False


# Visible characters of most texts, so that few are looked up.
COMMON = frozenset(
    character for code in (*range(0x250), *range(0x2010, 0x2070)) if not is_invisible(character := chr(code))
)
