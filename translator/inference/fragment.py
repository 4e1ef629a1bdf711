"""Fragments of XML or HTML: text with inline tags, read into a tree and the plain text to translate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape

from translator.errors import UserError, shorten
from translator.inference.html_tokens import NO_TRANSLATION, OPAQUE, VOID
from translator.inference.protection import Masked, masks_for, protected_spans

_XML_NO_TRANSLATION = re.compile(r"\stranslate\s*=\s*[\"']no[\"']")
_MARKUP = re.compile(
    r"<!--.*?-->|<!\[CDATA\[(?P<cdata>.*?)\]\]>|<\?.*?\?>|<![^>]*+>"
    r"|<(?P<slash>/?)(?P<name>[^\s<>/!?=&\"'\d.-][^\s<>/=\"']*+)(?P<rest>(?:[^<>\"']|\"[^\"]*+\"|'[^']*+')*+)>",
    re.DOTALL,
)
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);")
_SEPARATORS = frozenset({"br", "cr", "hr", "lb", "tab"})  # local names that separate words like a space


class MarkupError(UserError):
    """Text whose tags are not balanced.

    Attributes:
        number: number of the text.
        reason: the message without the number of the text.
    """

    def __init__(self, reason: str, number: int = 0, kind: str = "text") -> None:
        super().__init__(f"{reason} This is {kind} {number}.")
        self.reason = reason
        self.number = number


@dataclass
class Node:
    """A part of a fragment: an element, or a mark that stands between words.

    Attributes:
        opening: opening tag of an element; the whole text of a mark or of an element that is not translated.
        closing: closing tag of an element, empty for a mark.
        start: position in the plain text.
        end: position in the plain text after its content.
        children: nodes inside an element, in order.
        has_space: whether white space stands before and after a mark in the source.
        mask: word that stands for an element that is not translated, in the plain text; empty for others.
        is_separator: whether a mark separates words like white space, as a line break does.
    """

    opening: str = ""
    closing: str = ""
    start: int = 0
    end: int = 0
    children: list[Node] = field(default_factory=list)
    has_space: tuple[bool, bool] = (False, False)
    mask: str = ""
    is_separator: bool = False

    def walk(self) -> Iterator[Node]:
        """Yield the nodes below this one."""
        for child in self.children:
            yield child
            yield from child.walk()


@dataclass(frozen=True)
class Fragment:
    """A text with inline tags.

    Attributes:
        plain: the text without tags; white space collapsed; entities resolved.
        root: node whose children are the tags of the fragment.
        source: the fragment as given.
    """

    plain: str
    root: Node
    source: str

    @property
    def masked(self) -> Masked:
        """The plain text, whose masks stand for themselves until the tags are placed."""
        return Masked(self.plain, {node.mask: node.mask for node in self.root.walk() if node.mask})

    @classmethod
    def read(cls, text: str, *, html: bool = False, protect: bool = True, number: int = 0) -> Fragment:
        """Read a fragment.

        Args:
            text: the fragment.
            protect: copy placeholders, URLs, e-mail addresses and telephone numbers like elements that are not
                translated.
            html: read HTML: void elements have no closing tag, names ignore case, code is not translated, and a tag
                without its partner is kept as a mark.
            number: number of the text, for the error.

        Raises:
            MarkupError: if the tags of XML are not balanced.
        """
        reader = _Reader(text, html, protect, number)
        reader.read()
        plain = "".join(reader.plain).rstrip()
        for node in reader.root.walk():
            node.start, node.end = min(node.start, len(plain)), min(node.end, len(plain))
        return cls(plain, reader.root, text)


class _Reader:
    """Reads one fragment, see `Fragment.read`."""

    def __init__(self, text: str, html: bool, protect: bool, number: int) -> None:
        self.text = text
        self.root = Node()
        self.plain: list[str] = []
        self._html = html
        self._protect = protect
        self._number = number
        self._open: list[tuple[str, Node]] = []  # name and node of each open element
        self._masks = masks_for(text)

    @property
    def _parent(self) -> Node:
        return self._open[-1][1] if self._open else self.root

    def read(self) -> None:
        """Read the whole text into `plain` and `root`."""
        position = 0
        while match := _MARKUP.search(self.text, position):
            self._add_text(self.text[position : match.start()], position)
            position = self._add_markup(match)
        self._add_text(self.text[position:], position)
        for _ in range(len(self._open)):
            name, node = self._open[-1]
            if not self._html:
                raise self._error(f"<{name}> without </{name}>", self.text.rindex(node.opening))
            self._dissolve()

    def _add_text(self, text: str, position: int) -> None:
        if not self._html and "<" in text:
            raise self._error(f"{shorten(text[text.index('<') :], 20)}, an unfinished tag", position + text.index("<"))
        self._add_plain(_ENTITY.sub(lambda match: unescape(match[0]), text) if "&" in text else text)

    def _add_plain(self, text: str) -> None:
        """Add text without entities; the parts of it that are protected become nodes."""
        place = 0
        for start, end in protected_spans(text) if self._protect else ():
            self._append(text[place:start])
            around = text[max(0, start - 1) : start].isspace(), text[end : end + 1].isspace()
            self._add_opaque(escape(text[start:end]), around)
            place = end
        self._append(text[place:])

    def _append(self, text: str) -> None:
        """Append text to the plain text, with white space collapsed."""
        for character in text:
            if not character.isspace():
                self.plain.append(character)
            elif self.plain and self.plain[-1] != " ":
                self.plain.append(" ")

    def _add_markup(self, match: re.Match[str]) -> int:
        """Add a tag or mark, and return the position after it, or after the element that is not translated."""
        name = match["name"]
        if match["cdata"] is not None:
            self._add_plain(match["cdata"])
        elif name is None:
            self._add_mark(match[0], match.span())
        elif match["slash"]:
            self._close(name, match)
        elif match["rest"].endswith("/") or (self._html and name.lower() in VOID):
            self._add_mark(match[0], match.span())
            if name.rpartition(":")[2].lower() in _SEPARATORS:
                self._parent.children[-1].is_separator = True
                self._append(" ")
        elif self._is_opaque(name, match["rest"]) and (end := self._end_of(name, match.end())):
            self._add_opaque(self.text[match.start() : end], self._space_around((match.start(), end)))
            return end
        else:
            node = Node(match[0], start=len(self.plain), has_space=self._space_around(match.span()))
            self._parent.children.append(node)
            self._open.append((name, node))
        return match.end()

    def _add_mark(self, text: str, span: tuple[int, int]) -> None:
        place = len(self.plain)
        self._parent.children.append(Node(text, start=place, end=place, has_space=self._space_around(span)))

    def _space_around(self, span: tuple[int, int]) -> tuple[bool, bool]:
        return self.text[max(0, span[0] - 1) : span[0]].isspace(), self.text[span[1] : span[1] + 1].isspace()

    def _add_opaque(self, text: str, around: tuple[bool, bool]) -> None:
        node = Node(text, start=len(self.plain), has_space=around, mask=next(self._masks))
        self._append(node.mask)
        node.end = len(self.plain)
        self._parent.children.append(node)

    def _is_opaque(self, name: str, attributes: str) -> bool:
        if not self._html:
            return bool(_XML_NO_TRANSLATION.search(attributes))
        return name.lower() in OPAQUE or bool(NO_TRANSLATION.search(attributes))

    def _end_of(self, name: str, position: int) -> int:
        """Return the position after the closing tag of an element whose content begins at a position; 0 without one."""
        depth = 1
        for match in _MARKUP.finditer(self.text, position):
            if match["name"] is not None and self._same(match["name"], name) and not match["rest"].endswith("/"):
                depth += -1 if match["slash"] else 1
                if not depth:
                    return match.end()
        return 0

    def _close(self, name: str, match: re.Match[str]) -> None:
        if not self._html:
            if not self._open or self._open[-1][0] != name:
                expected = f" where </{self._open[-1][0]}> is expected" if self._open else " without an opening tag"
                raise self._error(f"</{name}>{expected}", match.start())
        elif not any(self._same(name, opened) for opened, _ in self._open):
            self._add_mark(match[0], match.span())
            return
        while not self._same(name, self._open[-1][0]):
            self._dissolve()
        _, node = self._open.pop()
        node.closing, node.end = match[0], len(self.plain)

    def _dissolve(self) -> None:
        """Turn the last open element, which has no closing tag, into a mark before its content."""
        _, node = self._open.pop()
        children, node.children, node.end = node.children, [], node.start
        self._parent.children += children

    def _same(self, name: str, other: str) -> bool:
        return name.lower() == other.lower() if self._html else name == other

    def _error(self, received: str, position: int) -> MarkupError:
        return MarkupError(
            f"Tags must be balanced and nested. Received: {received}, at character {position}. "
            "Close each tag, and write < in text as &lt;.",
            self._number,
        )


def read_fragments(texts: Sequence[str], *, html: bool = False, protect: bool = True) -> list[Fragment]:
    """Read fragments, see `Fragment.read`.

    Raises:
        MarkupError: if the tags of a text are not balanced; it names the number of the text.
    """
    return [Fragment.read(text, html=html, protect=protect, number=number) for number, text in enumerate(texts)]


def escape(text: str) -> str:
    """Return text as character data of XML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
