"""Paragraphs of WordprocessingML: runs, hyperlinks, fields and other inline elements as inline content."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from translator.documents.inline import MAX_DEPTH, Atom, Content, Inline, Span, pair_marks

_NAMESPACES = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "http://purl.oclc.org/ooxml/wordprocessingml/main",
)
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"

_CONTAINERS = ("hyperlink", "ins", "moveTo", "smartTag", "customXml", "dir", "bdo")
_BREAKS = ("tab", "ptab", "br", "cr")
_DROPPED = ("proofErr", "lastRenderedPageBreak", "softHyphen")  # renewed by the word processor
_PAIRED = {"bookmark", "commentRange", "perm", "moveToRange"}  # elements `bookmarkStart` and `bookmarkEnd`, …
_CHOSEN = ("dropDownList", "comboBox", "date", "checkbox", "dataBinding", "picture")  # controls whose text is a value
_SETTINGS = ("pPr", "smartTagPr", "customXmlPr")  # stay first
_INVISIBLE = ("lang", "noProof", "rPrChange")  # properties of a run that do not show
_EMPHASIS = ("rStyle", "b", "i", "caps", "smallCaps", "strike", "color", "highlight", "u", "shd", "vertAlign")
_LINK = re.compile(r"\s*HYPERLINK\b", re.IGNORECASE)


def word_name(element: etree._Element) -> str:
    """Return the local name of an element of WordprocessingML, transitional or strict; otherwise an empty string."""
    if not isinstance(element.tag, str):
        return ""
    name = etree.QName(element)
    return str(name.localname) if name.namespace in _NAMESPACES else ""


@dataclass(frozen=True, eq=False)
class _Piece:
    """An element of a paragraph, or of a run of it."""

    element: etree._Element
    run: etree._Element | None = None

    def write(self) -> etree._Element:
        """Return the element itself, or a run with the properties of its run and nothing else."""
        if self.run is None:
            return self.element
        run = _new_run(etree.QName(self.run).namespace or "", _properties(self.run))
        run.append(self.element)
        return run


@dataclass(frozen=True, eq=False)
class _Text:
    """Text of a run, before texts with equal properties are joined."""

    text: str
    properties: etree._Element | None
    key: tuple[object, ...]
    piece: _Piece


@dataclass(frozen=True, eq=False)
class _FieldMark:
    """A part of a complex field: its beginning, instruction, separator or end."""

    kind: str
    text: str
    piece: _Piece


@dataclass(frozen=True, eq=False)
class _Format:
    """Mark of a span of text with its own properties."""

    properties: etree._Element | None


@dataclass(frozen=True, eq=False)
class _Container:
    """Mark of a span that is an element. The properties are those of its runs that are in no span inside."""

    element: etree._Element
    inner: etree._Element
    properties: etree._Element | None


@dataclass(frozen=True, eq=False)
class _Link:
    """Mark of a span that is a hyperlink as a complex field."""

    before: tuple[_Piece, ...]
    result: tuple[_Piece, ...]
    after: tuple[_Piece, ...]
    properties: etree._Element | None


_Item = _Text | _FieldMark | Atom | Span


class Paragraph:
    """A paragraph.

    Args:
        element: its element. It is changed by `write` only.

    Attributes:
        content: its content.
    """

    def __init__(self, element: etree._Element) -> None:
        self._element = element
        self.content, self._properties = _content(_fold_fields(list(_items(element))))

    def write(self, content: Content) -> None:
        """Replace the content of the paragraph."""
        namespace = etree.QName(self._element).namespace or ""
        _refill(self._element, _written(content, namespace, self._properties))


def _items(parent: etree._Element, depth: int = 0) -> Iterator[_Item]:
    """Yield the children of a paragraph or container; those of runs one by one."""
    for child in parent:
        name = word_name(child)
        if name in (*_SETTINGS, *_DROPPED):
            continue
        inner = _inner(child, name) if depth < MAX_DEPTH else None
        if name == "r":
            yield from _run_items(child)
        elif inner is not None:
            content, properties = _content(_fold_fields(list(_items(inner, depth + 1))))
            yield Span(_Container(child, inner, properties), content)
        else:
            yield Atom([_Piece(child)], pair=_pair(child, name))


def _run_items(run: etree._Element) -> Iterator[_Item]:
    properties = _properties(run)
    key = () if properties is None else tuple(_key(child) for child in properties if word_name(child) not in _INVISIBLE)
    for child in run:
        name = word_name(child)
        piece = _Piece(child, run)
        if name == "t":
            yield _Text(child.text or "", properties, key, piece)
        elif name == "noBreakHyphen":
            yield _Text("-", properties, key, piece)
        elif name == "fldChar":
            yield _FieldMark(_attribute(child, "fldCharType"), "", piece)
        elif name == "instrText":
            yield _FieldMark("instruction", child.text or "", piece)
        elif name not in ("rPr", *_DROPPED):
            yield Atom([piece], is_break=name in _BREAKS)


def _inner(element: etree._Element, name: str) -> etree._Element | None:
    """Return the element that holds the runs of a container, often itself; None for what is not a container."""
    if name in _CONTAINERS or (name == "fldSimple" and _LINK.match(_attribute(element, "instr"))):
        return element
    return _control_content(element) if name == "sdt" else None


def _control_content(control: etree._Element) -> etree._Element | None:
    """Return the element with the content of a content control, or None if its text is not free."""
    settings = next((child for child in control if word_name(child) == "sdtPr"), None)
    if settings is not None and any(etree.QName(child).localname in _CHOSEN for child in settings.iterchildren("{*}*")):
        return None
    return next((child for child in control if word_name(child) == "sdtContent"), None)


def _pair(element: etree._Element, name: str) -> tuple[str, bool] | None:
    """Return the key that pairs the marks of a range, and True for the first of them; None for other elements."""
    for ending in ("Start", "End"):
        if name.endswith(ending) and name.removesuffix(ending) in _PAIRED:
            return f"{name.removesuffix(ending)} {_attribute(element, 'id')}", ending == "Start"
    return None


def _fold_fields(items: Sequence[_Item]) -> list[_Text | Atom | Span]:
    """Make each complex field an atom, or a span if it is a link. Its beginning or end alone is a break."""
    levels: list[list[_Item]] = [[]]
    for item in items:
        kind = item.kind if isinstance(item, _FieldMark) else ""
        if kind == "begin":
            levels.append([item])
            continue
        levels[-1].append(item)
        if kind == "end" and len(levels) > 1:
            field = levels.pop()
            levels[-1].append(_folded(field))
    return [
        Atom([item.piece], is_break=True) if isinstance(item, _FieldMark) else item
        for level in levels
        for item in level
    ]


def _folded(field: Sequence[_Item]) -> Atom | Span:
    kinds = [item.kind if isinstance(item, _FieldMark) else "" for item in field]
    place = kinds.index("separate") if "separate" in kinds else len(field)
    instruction = "".join(item.text for item in field[:place] if isinstance(item, _FieldMark))
    if place == len(field) or not _LINK.match(instruction):
        return Atom([piece for item in field for piece in _pieces(item)])
    content, properties = _content([item for item in field[place + 1 :] if not isinstance(item, _FieldMark)])
    before, result, after = (
        tuple(piece for item in part for piece in _pieces(item))
        for part in (field[: place + 1], field[place + 1 : -1], field[-1:])
    )
    return Span(_Link(before, result, after, properties), content)


def _pieces(item: _Item) -> Iterator[_Piece]:
    """Yield the elements of an item, as they were read."""
    if isinstance(item, (_Text, _FieldMark)):
        yield item.piece
    elif isinstance(item, Atom):
        yield from item.mark
    elif isinstance(item.mark, _Link):
        yield from (*item.mark.before, *item.mark.result, *item.mark.after)
    else:
        yield _Piece(item.mark.element)


def _content(items: Sequence[_Text | Atom | Span]) -> tuple[Content, etree._Element | None]:
    """Return items as content, and the properties of the text that is not in spans of its own: the most frequent."""
    lengths: Counter[tuple[object, ...]] = Counter()
    properties: dict[tuple[object, ...], etree._Element | None] = {}
    for item in items:
        if isinstance(item, _Text):
            lengths[item.key] += len(item.text.strip())
            properties.setdefault(item.key, item.properties)
    usual = max(lengths, key=lambda key: (not _is_emphasis(key), lengths[key]), default=())
    content: list[Inline] = []
    for key, group in _grouped(items):
        text = "".join(item.text for item in group if isinstance(item, _Text))
        if key is None:
            content += [item for item in group if not isinstance(item, _Text)]
        elif key == usual:
            content.append(text)
        else:
            content.append(Span(_Format(properties[key]), (text,)))
    return pair_marks(tuple(content)), properties.get(usual)


def _is_emphasis(key: tuple[object, ...]) -> bool:
    """Return True if text with these properties stands out of the text around it."""
    return any(isinstance(each, tuple) and str(each[0]).partition("}")[2] in _EMPHASIS for each in key)


def _grouped(
    items: Sequence[_Text | Atom | Span],
) -> Iterator[tuple[tuple[object, ...] | None, list[_Text | Atom | Span]]]:
    """Yield the texts with equal properties in a row, with their key; and other items one by one, with None.

    White space between two texts belongs to the first of them.
    """
    group: list[_Text | Atom | Span] = []
    key: tuple[object, ...] | None = None
    for item in items:
        if isinstance(item, _Text) and group and (item.key == key or not item.text.strip()):
            group.append(item)
            continue
        if group:
            yield key, group
        group = []
        if isinstance(item, _Text):
            group, key = [item], item.key
        else:
            yield None, [item]
    if group:
        yield key, group


def _written(content: Content, namespace: str, properties: etree._Element | None) -> Iterator[etree._Element]:
    """Yield the elements of content.

    Args:
        content: the content.
        namespace: namespace of the document.
        properties: properties of runs of text that is in no span.
    """
    for node in content:
        if isinstance(node, str):
            run = _new_run(namespace, properties)
            text = etree.SubElement(run, f"{{{namespace}}}t", {_SPACE: "preserve"})
            text.text = node
            yield run
        elif isinstance(node, Atom):
            yield from (piece.write() for piece in node.mark)
        elif isinstance(node.mark, _Format):
            yield from _written(node.content, namespace, node.mark.properties)
        elif isinstance(node.mark, _Container):
            _refill(node.mark.inner, _written(node.content, namespace, node.mark.properties))
            yield node.mark.element
        elif isinstance(node.mark, _Link):
            yield from (piece.write() for piece in node.mark.before)
            yield from _written(node.content, namespace, node.mark.properties)
            yield from (piece.write() for piece in node.mark.after)
        else:
            first, last = node.mark
            yield from _written((first, *node.content, last), namespace, properties)


def _refill(parent: etree._Element, children: Iterable[etree._Element]) -> None:
    """Replace the children of an element, except its settings."""
    written = list(children)
    for child in list(parent):
        if word_name(child) not in _SETTINGS:
            parent.remove(child)
    parent.extend(written)


def _new_run(namespace: str, properties: etree._Element | None) -> etree._Element:
    run = etree.Element(f"{{{namespace}}}r")
    if properties is not None:
        run.append(deepcopy(properties))
    return run


def _properties(run: etree._Element) -> etree._Element | None:
    return next((child for child in run if word_name(child) == "rPr"), None)


def _key(element: etree._Element) -> tuple[object, ...]:
    """Return a value that is equal for elements of equal content."""
    return element.tag, tuple(sorted(element.items())), tuple(map(_key, element))


def _attribute(element: etree._Element, name: str) -> str:
    return str(element.get(f"{{{etree.QName(element).namespace}}}{name}", ""))
