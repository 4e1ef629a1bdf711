"""Division of HTML into text and markup, in linear time and without loss, whether or not it is well-formed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

# As in the HTML standard: "<" begins markup only before a letter, "/", "!" or "?"; an unfinished tag takes the rest.
_OPENING = re.compile(r"<(?:(?P<slash>/?)(?P<name>[a-zA-Z][^\s/>]*)|!--|[/!?])")
_TAG_PART = re.compile(r">|=\s*(?P<quote>[\"'])")
_RAW = frozenset({"script", "style", "textarea", "iframe", "noembed", "noframes", "xmp"})
_OPAQUE = _RAW | {"code", "pre", "kbd", "samp", "var", "svg", "math"}
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_NO_TRANSLATION = re.compile(
    r"\stranslate\s*=\s*[\"']?no\b|\sclass\s*=\s*(?:[\"'][^\"']*)?\bnotranslate\b", re.IGNORECASE
)


_INLINE = frozenset(
    {
        "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i",
        "img", "ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt",
        "u", "var", "wbr"
    }
)  # fmt: skip


def html_parts(html: str, *, keeps_inline: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the parts of HTML, and whether each is text to translate; joined, they are the input.

    Tags, comments, text without letters and digits, and the content of scripts, styles, code and elements with
    `translate="no"` or the class `notranslate` are not translated.

    Args:
        html: the HTML.
        keeps_inline: True for text with inline elements in it, False for text without tags.
    """
    kinds = {"text", "inline"} if keeps_inline else {"text"}
    for is_run, parts in groupby(_parts(html), key=lambda part: part[1] in kinds):
        run = list(parts)
        text = "".join(part for part, kind in run if kind == "text")
        yield "".join(part for part, _ in run), is_run and any(map(str.isalnum, re.sub(r"&#?\w+;", "", text)))


def _parts(html: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of HTML, and whether each is `text`, markup `inline`, or another `block`."""
    opaque, depth = "", 0  # name of the element that is not translated; number of open elements of this name
    position = 0
    while opening := _OPENING.search(html, position):
        if opening.start() > position:
            kind = "text" if not depth else "inline" if opaque in _INLINE else "block"
            yield html[position : opening.start()], kind
        position = _end_of_markup(html, opening)
        markup, name = html[opening.start() : position], (opening["name"] or "").lower()
        is_inline = (opaque if depth else name) in _INLINE and markup.endswith(">")
        yield markup, "inline" if is_inline else "block"
        if not name or name in _VOID or markup.endswith("/>"):
            continue
        if depth:
            depth += 0 if name != opaque else -1 if opening["slash"] else 1
        elif not opening["slash"] and (name in _OPAQUE or _NO_TRANSLATION.search(markup)):
            opaque, depth = name, 1
        if name in _RAW and not opening["slash"]:
            closing = re.compile(f"</{name}", re.IGNORECASE).search(html, position)
            end = closing.start() if closing else len(html)
            yield html[position:end], "block"
            position = end
    if position < len(html):
        yield html[position:], "text" if not depth else "block"


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
