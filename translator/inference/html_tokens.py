"""Division of HTML into tags, comments and text, in linear time and without loss, whether or not it is well-formed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# As in the HTML standard: "<" begins markup only before a letter, "/", "!" or "?"; an unfinished tag takes the rest.
_OPENING = re.compile(r"<(?:(?P<slash>/?)(?P<name>[a-zA-Z][^\s/>]*)|!--|[/!?])")
_TAG_PART = re.compile(r">|=\s*(?P<quote>[\"'])")

VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
RAW = frozenset({"script", "style", "textarea", "iframe", "noembed", "noframes", "xmp"})  # their content has no tags
OPAQUE = RAW | {"code", "kbd", "math", "pre", "samp", "svg", "var"}  # their content is not language
NO_TRANSLATION = re.compile(
    r"\stranslate\s*=\s*[\"']?no\b|\sclass\s*=\s*(?:[\"'][^\"']*)?\bnotranslate\b", re.IGNORECASE
)


class HtmlToken(NamedTuple):
    """A text, or a tag, comment or declaration.

    Attributes:
        source: its characters.
        is_text: True for text.
        name: name of the element, in lowercase; empty except for tags.
        is_end: True for an end tag.
        raw: content of an element of `RAW`, after its start tag; empty for others.
    """

    source: str
    is_text: bool = False
    name: str = ""
    is_end: bool = False
    raw: str = ""

    @property
    def has_content(self) -> bool:
        """True for a start tag whose element has content: one that is neither void nor closed by `/>`."""
        return bool(self.name) and not self.is_end and self.name not in VOID and not self.source.endswith("/>")


def html_tokens(html: str) -> Iterator[HtmlToken]:
    """Yield the tokens of HTML; joined, each with its raw content, they are the input."""
    position = 0
    while opening := _OPENING.search(html, position):
        if opening.start() > position:
            yield HtmlToken(html[position : opening.start()], is_text=True)
        position = _end_of_markup(html, opening)
        name = (opening["name"] or "").lower()
        token = HtmlToken(html[opening.start() : position], name=name, is_end=bool(opening["slash"]))
        if name in RAW and token.has_content:
            closing = re.compile(f"</{name}", re.IGNORECASE).search(html, position)
            end = closing.start() if closing else len(html)
            token, position = token._replace(raw=html[position:end]), end
        yield token
    if position < len(html):
        yield HtmlToken(html[position:], is_text=True)


def _end_of_markup(html: str, opening: re.Match[str]) -> int:
    """Return the end of a tag, comment or declaration; the end of the text if it is not finished."""
    if not opening["name"]:
        mark = "-->" if opening[0] == "<!--" else ">"
        end = html.find(mark, opening.end())
        return len(html) if end < 0 else end + len(mark)
    position = opening.end()
    while part := _TAG_PART.search(html, position):
        if not part["quote"]:
            return part.end()
        end = html.find(part["quote"], part.end())
        if end < 0:
            break
        position = end + 1
    return len(html)
