"""HTML: text between tags to inline content, and back, without loss.

Tags are never repaired: all that is not translated keeps its characters, whether or not the document is well-formed.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape, unescape

from translator.documents.inline import Atom, Content, Inline, Tag, is_translatable, nest, plain_text
from translator.inference.html_tokens import NO_TRANSLATION, RAW, html_tokens

_ATTRIBUTE = re.compile(r"(?P<before>\s(?P<name>[\w:-]+)\s*=\s*(?P<quote>[\"']))(?P<value>.*?)(?P=quote)", re.DOTALL)
_CHARSET = re.compile(rb"<\?xml[^>]{0,99}encoding=[\"']([\w-]+)|<meta[^>]{0,999}charset\s*=\s*[\"']?([\w-]+)", re.I)

_CODE = frozenset({"code", "kbd", "samp", "var", "tt"})
_KEPT = RAW | _CODE | {"pre", "svg", "math", "template", "object", "audio", "video", "canvas"}
_INLINE = frozenset(
    {
        "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "data", "del", "dfn", "em", "font", "i", "ins",
        "mark", "nobr", "q", "s", "small", "span", "strike", "strong", "sub", "sup", "time", "u"
    }
)  # fmt: skip
_INLINE_ATOMS = _CODE | {"img", "wbr", "svg", "math", "script", "style", "template", "link", "meta"}
_ATTRIBUTES = frozenset({"alt", "title", "placeholder", "aria-label", "aria-description", "label"})
_META = re.compile(r"\s(?:name|property)\s*=\s*[\"']?(?:og:|twitter:)?(?:title|description|image:alt)\b", re.I)
_BUTTON = re.compile(r"\stype\s*=\s*[\"']?(?:submit|button|reset)\b", re.I)


@dataclass(frozen=True)
class _Token:
    """Consecutive characters of HTML.

    Attributes:
        kind: `text`, `tag`, `comment` (or declaration), or `kept` (an element that is not translated).
        source: the characters.
        name: name of the element, in lowercase.
        is_end: True for an end tag.
    """

    kind: str
    source: str
    name: str = ""
    is_end: bool = False


@dataclass(frozen=True)
class _Value:
    """Place of the value of an attribute, whose text is the content of this number."""

    number: int


@dataclass(frozen=True)
class _Text:
    """Place of the content of this number."""

    number: int


_Parts = tuple[str | _Value | _Text, ...]


class HtmlText:
    """HTML as contents to translate.

    Args:
        html: a document or a part of one.

    Attributes:
        contents: the texts between tags that are not inline, and values of attributes.
    """

    def __init__(self, html: str) -> None:
        self.contents: list[Content] = []
        self._parts: list[str | _Value | _Text] = []
        run: list[tuple[_Token, _Parts]] = []  # what is between two tags that are not inline
        for token in _tokens(html):
            parts = self._with_attributes(token) if token.kind == "tag" else (token.source,)
            if _is_inline(token):
                run.append((token, parts))
                continue
            self._add(run)
            self._parts += parts
            run = []
        self._add(run)

    def write(self, contents: Sequence[Content]) -> str:
        """Return the HTML with other contents."""
        return _join(self._parts, contents)

    def _with_attributes(self, token: _Token) -> _Parts:
        """Return a tag whose translatable attributes are contents of their own."""
        parts: list[str | _Value | _Text] = []
        place = 0
        for match in _ATTRIBUTE.finditer(token.source):
            value = unescape(match["value"])
            if _is_text(token, match["name"].lower()) and is_translatable((value,)):
                parts += [token.source[place : match.start("value")], _Value(len(self.contents))]
                self.contents.append((value,))
                place = match.end("value")
        return (*parts, token.source[place:])

    def _add(self, run: Sequence[tuple[_Token, _Parts]]) -> None:
        """Make a run a content if it has text to translate."""
        text = "".join(unescape(token.source) for token, _ in run if token.kind == "text")
        if not is_translatable((text,)):
            self._parts += [part for _, parts in run for part in parts]
            return
        self._parts.append(_Text(len(self.contents)))
        self.contents.append(nest(_nodes(run)))


def _is_inline(token: _Token) -> bool:
    names = _INLINE | _INLINE_ATOMS | {"br"}
    return token.kind in ("text", "comment") or token.name in names


def _is_text(tag: _Token, attribute: str) -> bool:
    """Return True if the value of an attribute is text for readers."""
    if attribute == "content":
        return tag.name == "meta" and _META.search(tag.source) is not None
    if attribute == "value":
        return tag.name == "input" and _BUTTON.search(tag.source) is not None
    return attribute in _ATTRIBUTES


def _nodes(run: Sequence[tuple[_Token, _Parts]]) -> Iterator[Inline | Tag]:
    for token, parts in run:
        if token.kind == "text":
            yield unescape(token.source)
        elif token.kind == "tag" and token.name in _INLINE and not token.source.endswith("/>"):
            yield Tag(token.name, token.is_end, parts)
        else:
            yield Atom(parts, is_break=token.name == "br", text=_shown(token.source) if token.name in _CODE else "")


def _shown(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def _join(parts: Sequence[str | _Value | _Text], contents: Sequence[Content]) -> str:
    written = []
    for part in parts:
        if isinstance(part, str):
            written.append(part)
        elif isinstance(part, _Value):
            written.append(escape(plain_text(contents[part.number])))
        else:
            written.append(_write(contents[part.number], contents))
    return "".join(written)


def _write(content: Content, contents: Sequence[Content]) -> str:
    written = []
    for node in content:
        if isinstance(node, str):
            written.append(escape(node, quote=False))
        elif isinstance(node, Atom):
            written.append(_join(node.mark, contents))
        else:
            opening, closing = (_join(parts, contents) for parts in node.mark)
            written.append(f"{opening}{_write(node.content, contents)}{closing}")
    return "".join(written)


def _tokens(html: str) -> Iterator[_Token]:
    """Yield the tokens of HTML, in linear time; joined, their sources are the input."""
    kept: list[str] = []  # of the element that is not translated
    opaque, depth = "", 0  # its name; number of open elements of this name
    for token in html_tokens(html):
        source, name = token.source + token.raw, token.name
        if depth:
            kept.append(source)
            if name == opaque and not token.source.endswith("/>"):
                depth += -1 if token.is_end else 1
            if not depth:
                yield _Token("kept", "".join(kept), opaque)
        elif token.is_text:
            yield _Token("text", source)
        elif token.has_content and (name in _KEPT or NO_TRANSLATION.search(token.source)):
            opaque, depth, kept = name, 1, [source]
        else:
            yield _Token("tag" if name else "comment", source, name, token.is_end)
    if depth:
        yield _Token("kept", "".join(kept), opaque)


class HtmlDocument:
    """An HTML file: text between tags, and the attributes that readers see.

    The encoding is the one that the file declares, UTF-8 or Windows-1252. It is kept.

    Args:
        data: content of the file.
    """

    def __init__(self, data: bytes) -> None:
        self._encoding = _encoding(data)
        is_utf8 = self._encoding.startswith("utf-8")  # bytes that are not are written as they were read
        self._text = HtmlText(data.decode(self._encoding, "surrogateescape" if is_utf8 else "replace"))
        self._errors = "surrogateescape" if is_utf8 else "xmlcharrefreplace"

    @property
    def contents(self) -> list[Content]:
        """The texts, and the values of attributes."""
        return self._text.contents

    def write(self, contents: Sequence[Content]) -> bytes:
        """Return the file with other contents. What its encoding lacks becomes a character reference."""
        return self._text.write(contents).encode(self._encoding, self._errors)


def _encoding(data: bytes) -> str:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return encoding
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if declared := _CHARSET.search(data[:2048]):
        try:
            name = codecs.lookup((declared[1] or declared[2]).decode("ascii")).name
            b"x".decode(name)
        except LookupError:  # unknown, or not an encoding of text
            name = ""
        if name in ("iso8859-1", "ascii"):  # browsers read both as Windows-1252
            return "cp1252"
        if name and not name.startswith("utf-16"):  # a declaration in ASCII cannot be right about UTF-16
            return name
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
