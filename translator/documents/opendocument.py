"""OpenDocument texts (.odt): paragraphs and headings to inline content, and back (ODF 1.3, part 3, section 6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lxml import etree

from translator.documents.archive import Archive
from translator.documents.errors import DocumentError
from translator.documents.inline import MAX_DEPTH, Atom, Content, Inline, Span, merge_text, pair_marks

_TYPE = "application/vnd.oasis.opendocument.text"
_PARTS = ("content.xml", "styles.xml")  # styles.xml has headers and footers
_NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns:"
_TEXT, _STYLE, _OFFICE, _MANIFEST = (f"{{{_NAMESPACE}{name}:1.0}}" for name in ("text", "style", "office", "manifest"))
_PARAGRAPHS = (f"{_TEXT}p", f"{_TEXT}h")
_SPANS = (f"{_TEXT}span", f"{_TEXT}a", f"{_TEXT}meta", f"{_TEXT}ruby-base")
_BREAKS = (f"{_TEXT}tab", f"{_TEXT}line-break", f"{_TEXT}s")  # several spaces are layout
_NOT_TRANSLATED = (f"{_TEXT}tracked-changes", f"{_OFFICE}annotation")
_INVISIBLE = re.compile(r"\{[^}]*(?:openoffice\.org|libreoffice|libreoffice\.org)[^}]*\}rsid$|\}paragraph-rsid$")
_LANGUAGE = re.compile(r"\}(?:language|country|script|rfc-language-tag)(?:-asian|-complex)?$")


class OpenDocument:
    """An .odt document: the text of its body, headers, footers, footnotes, endnotes and text boxes.

    Args:
        data: content of the file.

    Raises:
        DocumentError: if it cannot be read.
    """

    def __init__(self, data: bytes) -> None:
        self._archive = Archive(data, ".odt")
        if "mimetype" in self._archive and not self._archive["mimetype"].decode("utf-8", "replace").startswith(_TYPE):
            raise DocumentError("The .odt file must hold a text document. Received: another kind of document.")
        manifest = "META-INF/manifest.xml"
        if manifest in self._archive and f"{_MANIFEST}encryption-data" in {
            element.tag for element in self._archive.xml(manifest).iter()
        }:
            raise DocumentError("The .odt file must not be encrypted. Remove its password first.")
        names = [name for name in _PARTS if name in self._archive or name == _PARTS[0]]
        self._roots = {name: self._archive.xml(name) for name in names}
        self._paragraphs = [
            (element, _content(element, plain_styles))
            for root in self._roots.values()
            for plain_styles in [_plain_styles(root)]
            for element in root.iter(*_PARAGRAPHS)
            if not any(parent.tag in _NOT_TRANSLATED for parent in element.iterancestors())
        ]

    @property
    def contents(self) -> list[Content]:
        """The content of each paragraph and heading."""
        return [content for _, content in self._paragraphs]

    def write(self, contents: Sequence[Content]) -> bytes:
        """Return the document with other contents of its paragraphs."""
        for (element, _), content in zip(self._paragraphs, contents, strict=True):
            _refill(element, content)
        return self._archive.write(self._roots)


def _plain_styles(root: etree._Element) -> set[str]:
    """Return the names of the automatic styles that do not show: marks of an edit, and languages."""
    plain = set()
    for style in root.iter(f"{_STYLE}style"):
        if style.get(f"{_STYLE}family") != "text" or style.get(f"{_STYLE}parent-style-name"):
            continue
        names = [str(name) for properties in style for name in properties.attrib]
        if all(_INVISIBLE.search(name) or _LANGUAGE.search(name) for name in names):
            plain.add(style.get(f"{_STYLE}name", ""))
    return plain


def _content(element: etree._Element, plain_styles: set[str], depth: int = 0) -> Content:
    return pair_marks(merge_text(tuple(_nodes(element, plain_styles, depth))))


def _nodes(element: etree._Element, plain_styles: set[str], depth: int) -> Iterator[Inline]:
    yield _spaced(element.text)
    for child in element:
        if depth >= MAX_DEPTH:
            yield Atom(child, is_break=True)
        elif child.tag == f"{_TEXT}span" and child.get(f"{_TEXT}style-name") in plain_styles:
            yield from _nodes(child, plain_styles, depth + 1)
        elif child.tag in _SPANS:
            yield Span(child, _content(child, plain_styles, depth + 1))
        elif child.tag == f"{_TEXT}s" and child.get(f"{_TEXT}c", "1") == "1":
            yield " "
        elif child.tag != f"{_TEXT}soft-page-break":
            yield Atom(child, is_break=child.tag in _BREAKS, pair=_pair(child))
        yield _spaced(child.tail)


def _spaced(text: str | None) -> str:
    """Return text as it is shown: white space collapses."""
    return re.sub(r"[ \t\r\n]+", " ", text or "")


def _pair(element: etree._Element) -> tuple[str, bool] | None:
    """Return the key that pairs the marks of a range, and True for the first of them; None for other elements."""
    if not isinstance(element.tag, str):
        return None
    name = element.tag
    if name in (f"{_OFFICE}annotation", f"{_OFFICE}annotation-end"):
        identity = element.get(f"{_OFFICE}name")
        return (f"annotation {identity}", name.endswith("annotation")) if identity else None
    for ending in ("-start", "-end"):
        if name.startswith(_TEXT) and name.endswith(ending):
            identity = element.get(f"{_TEXT}name") or element.get(f"{_TEXT}id") or element.get(f"{_TEXT}change-id")
            return f"{name.removesuffix(ending)} {identity}", ending == "-start"
    return None


def _refill(element: etree._Element, content: Content) -> None:
    """Replace the text and the children of an element."""
    for child in list(element):
        element.remove(child)
    element.text = None
    _append(element, content)


def _append(element: etree._Element, content: Content) -> None:
    for node in content:
        if isinstance(node, str):
            _append_text(element, node)
        elif isinstance(node, Atom):
            node.mark.tail = None
            element.append(node.mark)
        elif isinstance(node.mark, tuple):
            first, last = node.mark
            _append(element, (first, *node.content, last))
        else:
            node.mark.tail = None
            _refill(node.mark, node.content)
            element.append(node.mark)


def _append_text(element: etree._Element, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text
