"""Division of HTML into text and markup, in linear time and without loss, whether or not it is well-formed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from translator.inference.html_tokens import NO_TRANSLATION, OPAQUE, VOID, html_tokens

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
    for token in html_tokens(html):
        position += len(token.source) + len(token.raw)
        if token.is_text:
            # Text at the very end is in an element without an end tag, which does not belong to the text around it.
            is_inline = opaque in _INLINE and position < len(html)
            yield token.source, "text" if not depth else "inline" if is_inline else "block"
            continue
        is_inline = (opaque if depth else token.name) in _INLINE and token.source.endswith(">")
        yield token.source, "inline" if is_inline else "block"
        if not token.name or token.name in VOID or token.source.endswith("/>"):
            continue
        if depth:
            depth += 0 if token.name != opaque else -1 if token.is_end else 1
        elif not token.is_end and (token.name in OPAQUE or NO_TRANSLATION.search(token.source)):
            opaque, depth = token.name, 1
        if token.raw:
            yield token.raw, "block"
