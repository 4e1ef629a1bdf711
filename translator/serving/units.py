"""Division of a request's text into units that are translated on their own, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape, unescape

from translator.inference.document import Document
from translator.inference.splitting import split_text
from translator.serving.markup import html_parts

_MAX_CHARACTERS = 2000  # a longer unit would delay the texts of other requests


@dataclass(frozen=True)
class Units:
    """A text as units.

    Attributes:
        texts: texts to translate, in order.
        lines: number of the line or paragraph of each of `texts`, from 0.
        join: returns the translated text, given a translation for each of `texts`.
    """

    texts: list[str]
    lines: list[int]
    join: Callable[[Sequence[str]], str]


def text_units(text: str, *, by_sentence: bool = False) -> Units:
    """Divide plain text. Lines, blank lines, list markers and indents are kept; wrapped paragraphs are re-flowed.

    A text of one line is one unit, so that its translation is that of `translator translate`.

    Args:
        text: text to translate.
        by_sentence: make each sentence a unit.
    """
    if "\n" not in text and "\r" not in text:
        parts = _parts(text, by_sentence)
        return Units(parts, [0] * len(parts), _join)
    document = Document.read(text)
    blocks = [_parts(block, by_sentence) for block in document.texts]

    def join(translations: Sequence[str]) -> str:
        following = iter(translations)
        return document.write([_join([next(following) for _ in block]) for block in blocks])

    lines = [number for number, block in enumerate(blocks) for _ in block]
    return Units([part for block in blocks for part in block], lines, join)


def html_units(text: str, *, keeps_inline: bool) -> Units:
    """Divide HTML: each run of text between tags is a unit; tags, comments, scripts and white space are kept.

    See `html_parts` for the elements that are not translated.

    Args:
        text: HTML to translate.
        keeps_inline: True for units that are HTML with inline elements, False for plain text between any two tags.
    """
    parts = [
        piece
        for part, is_text in html_parts(text, keeps_inline=keeps_inline)
        for piece in (html_parts(part) if is_text and not _fits(part) else [(part, is_text)])
    ]
    units = [_html_unit(part, is_html=keeps_inline) if is_text else None for part, is_text in parts]

    def join(translations: Sequence[str]) -> str:
        following = iter(translations)
        written = []
        for (part, _), unit in zip(parts, units, strict=True):
            if unit is None:
                written.append(part)
                continue
            translated = _join([next(following) for _ in unit])
            before, after = part[: len(part) - len(part.lstrip())], part[len(part.rstrip()) :]
            written.append(before + (translated if keeps_inline else escape(translated, quote=False)) + after)
        return "".join(written)

    found = [(number, text) for number, unit in enumerate(units) for text in unit or ()]
    return Units([text for _, text in found], [number for number, _ in found], join)


def _html_unit(part: str, *, is_html: bool) -> list[str]:
    """Return the texts to translate of a run of text, as HTML or plain."""
    if is_html and _fits(part):
        return [part.strip()]
    texts = _parts(" ".join(unescape(part).split()), False)
    return [escape(text, quote=False) for text in texts] if is_html else texts


def _parts(text: str, by_sentence: bool) -> list[str]:
    if by_sentence:
        return split_text(text, _fits)
    return [text] if _fits(text) else _grouped(split_text(text, _fits))


def _grouped(parts: Sequence[str]) -> list[str]:
    """Join consecutive parts into texts that fit."""
    groups: list[str] = []
    for part in parts:
        if groups and _fits(joined := f"{groups[-1]} {part}"):
            groups[-1] = joined
        else:
            groups.append(part)
    return groups


def _fits(text: str) -> bool:
    return len(text) <= _MAX_CHARACTERS


def _join(translations: Sequence[str]) -> str:
    return " ".join(filter(None, translations))
