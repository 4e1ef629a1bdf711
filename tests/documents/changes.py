"""Stand-ins for translation, whose results are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from translator.documents.formats import TranslatableDocument
from translator.documents.inline import Atom, Content, Span, change_texts


def in_capitals(content: Content) -> Content:
    """Return content in capitals."""
    return tuple(
        node.upper()
        if isinstance(node, str)
        else replace(node, content=in_capitals(node.content))
        if isinstance(node, Span)
        else node
        for node in content
    )


def reversed_words(content: Content) -> Content:
    """Return content with the words, spans and atoms of each level in reverse order, as a translation may have them."""
    nodes = [
        " ".join(reversed(node.split(" ")))
        if isinstance(node, str)
        else replace(node, content=reversed_words(node.content))
        if isinstance(node, Span)
        else node
        for node in content
    ]
    return tuple(reversed(nodes))


def rewritten(document: TranslatableDocument, change: Callable[[Content], Content] = in_capitals) -> bytes:
    """Return the file of a document with its texts changed."""
    return document.write([change_texts(content, change) for content in document.contents])


def outline(content: Content) -> str:
    """Return content with `[` and `]` around spans, `*` for atoms and `|` for breaks."""
    return "".join(
        node
        if isinstance(node, str)
        else f"[{outline(node.content)}]"
        if isinstance(node, Span)
        else "|"
        if isinstance(node, Atom) and node.is_break
        else "*"
        for node in content
    )
