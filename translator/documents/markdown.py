"""Markdown (CommonMark with tables and strikethrough): text of paragraphs, headings, items and cells, and back.

Only lines with translated text are written anew. Code, front matter, link targets and definitions stay as they are.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from translator.documents.html import HtmlText
from translator.documents.inline import Content
from translator.documents.markdown_inline import InlineReader, shape, write_inline
from translator.documents.text_files import decode_text

_FRONT_MATTER = re.compile(r"(?:---[ \t]*\n(?:.*\n)*?(?:---|\.\.\.)|\+\+\+[ \t]*\n(?:.*\n)*?\+\+\+)[ \t]*(?:\n|\Z)")
_DEFINITION = re.compile(r"^[ >]*\[([^\]\n]+)\]:", re.MULTILINE)
# Beginnings of lines that would begin a block: headings, quotations, items, rules, fences, underlines of headings.
_BLOCK_START = re.compile(r"(?P<mark>[#>+*=~`|-]|\d{1,9}(?=[.)]))")
_MIN_WIDTH = 40


@dataclass(frozen=True)
class _Lines:
    """Lines that hold one text: a paragraph or a heading.

    Attributes:
        start, end: numbers of the first line and of the line after the last.
        number: number of the content.
        kind: type of the token around the text.
        prefix: characters before the text on the first line.
        indent: characters before it on further lines.
        suffix: characters after it.
        width: maximum length of a line, or 0 if there is only one.
    """

    start: int
    end: int
    number: int
    kind: str
    prefix: str
    indent: str
    suffix: str
    width: int


@dataclass(frozen=True)
class _Row:
    """A row of a table: its line, and the number, start and end of each cell with text."""

    line: int
    cells: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class _HtmlBlock:
    """A block of HTML: its lines, and the number of its first content."""

    start: int
    end: int
    number: int
    html: HtmlText


class MarkdownDocument:
    """A Markdown file.

    Args:
        data: content of the file.

    Raises:
        DocumentError: if the file is not text.
    """

    def __init__(self, data: bytes) -> None:
        text = decode_text(data)
        self._line_end = "\r\n" if "\r\n" in text else "\n"
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
        matter = _FRONT_MATTER.match(text)
        self._front_matter = matter[0] if matter else ""
        body = text[len(self._front_matter) :]
        self._lines = body.split("\n")
        self._parser = _parser()
        self._environment: dict[str, Any] = {}
        tokens = self._parser.parse(body, self._environment)
        self._labels = {" ".join(label.split()).lower().upper(): label for label in _DEFINITION.findall(body)}
        self._reader = InlineReader(self._labels)
        self.contents: list[Content] = self._reader.contents
        self._places = list(self._read(tokens))

    def write(self, contents: Sequence[Content]) -> bytes:
        """Return the file with other contents, in UTF-8."""
        lines = list(self._lines)
        for place in reversed(self._places):
            if isinstance(place, _Row):
                lines[place.line] = self._row(place, lines[place.line], contents)
            elif isinstance(place, _HtmlBlock):
                own = contents[place.number : place.number + len(place.html.contents)]
                lines[place.start : place.end] = place.html.write(own).rstrip("\n").split("\n")
            else:
                lines[place.start : place.end] = self._block(place, contents)
        text = self._front_matter + "\n".join(lines)
        return text.replace("\n", self._line_end).encode("utf-8", "surrogateescape")

    def _read(self, tokens: Sequence[Token]) -> Iterator[_Lines | _Row | _HtmlBlock]:
        place, row_start = 0, 0
        cells: list[tuple[int, int, int]] = []
        for before, token in zip([None, *tokens], tokens, strict=False):
            if token.type == "tr_open" and token.map:
                row_start, place, cells = token.map[0], 0, []
            elif token.type == "tr_close" and cells:
                yield _Row(row_start, tuple(cells))
            elif token.type == "html_block" and token.map:
                yield from self._html_block(token)
            elif token.type == "inline" and before is not None and token.map:
                if before.type not in ("td_open", "th_open"):
                    yield from self._paragraph(token, before.type)
                    continue
                source = token.content.replace("|", "\\|")
                found = self._lines[row_start].find(source, place)
                if source and found >= 0:
                    place = found + len(source)
                    cells.append((self._reader.read(token), found, place))

    def _html_block(self, token: Token) -> Iterator[_HtmlBlock]:
        assert token.map is not None
        start, end = token.map
        if "\n".join(self._lines[start:end]).rstrip("\n") != token.content.rstrip("\n"):
            return  # in a quotation or an item
        while end > start and not self._lines[end - 1].strip():
            end -= 1
        html = HtmlText(token.content)
        yield _HtmlBlock(start, end, len(self.contents), html)
        self.contents += html.contents

    def _paragraph(self, token: Token, kind: str) -> Iterator[_Lines]:
        assert token.map is not None
        content = [line.strip() for line in token.content.split("\n")]
        # The parser leaves out lines of white space other than spaces and tabs at both ends.
        for start in range(*token.map):
            end = start + len(content)
            lines = self._lines[start:end]
            places = [line.find(text) for line, text in zip(lines, content, strict=False)]
            if len(lines) == len(content) and min(places) >= 0:
                break
        else:
            return  # text that is not in the lines as the parser gives it stays as it is
        prefix = lines[0][: places[0]]
        indent = lines[1][: places[1]] if len(lines) > 1 else re.sub(r"[^>\s]", " ", prefix)
        suffix = lines[-1][places[-1] + len(content[-1]) :] if kind == "heading_open" else ""
        width = max(_MIN_WIDTH, *(len(line.rstrip()) for line in lines)) if len(lines) > 1 else 0
        yield _Lines(start, end, self._reader.read(token), kind, prefix, indent, suffix, width)

    def _row(self, row: _Row, line: str, contents: Sequence[Content]) -> str:
        for number, start, end in reversed(row.cells):
            if contents[number] is not self.contents[number]:
                cell = self._checked(contents, number, "cell", 0).replace("\n", " ").replace("|", "\\|")
                line = line[:start] + cell + line[end:]
        return line

    def _block(self, place: _Lines, contents: Sequence[Content]) -> list[str]:
        if contents[place.number] is self.contents[place.number]:
            return self._lines[place.start : place.end]
        width = place.width - len(place.indent) if place.width else 0
        first, *others = self._checked(contents, place.number, place.kind, width).split("\n")
        lines = [place.prefix + first, *(place.indent + line for line in others)]
        lines[-1] += place.suffix
        return lines

    def _checked(self, contents: Sequence[Content], number: int, kind: str, width: int) -> str:
        """Return text that is read as a content again: wrapped and with few escapes, if possible."""
        wanted = shape(contents[number])
        text = ""
        for is_wrapped, is_escaped in ((True, False), (False, False), (False, True)):
            text = write_inline(contents[number], contents, is_escaped=is_escaped)
            text = _with_safe_starts(_wrapped(text, width if is_wrapped else 0))
            if self._shape(text, kind) == wanted:
                break
        return text

    def _shape(self, text: str, kind: str) -> Any:
        """Return the shape of the content that a text is read as, or None if it is read as other blocks."""
        source = f"# {text}" if kind == "heading_open" else text
        tokens = self._parser.parse(source, dict(self._environment))
        if len(tokens) != 3 or tokens[1].type != "inline":
            return None
        reader = InlineReader(self._labels)
        return shape(reader.contents[reader.read(tokens[1])])


def _parser() -> MarkdownIt:
    """Return a parser that keeps the labels of reference links, and link targets as they are written."""
    parser = MarkdownIt("commonmark", {"store_labels": True}).enable(["table", "strikethrough"])
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


def _wrapped(text: str, width: int) -> str:
    """Return text with lines of at most `width` characters, if it is not 0. Hard line breaks stay."""
    if not width:
        return text
    lines = []
    for part in text.split("\n"):
        wrapped = textwrap.wrap(part, width, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [*wrapped[:-1], wrapped[-1] + part[len(part.rstrip()) :]]
    return "\n".join(lines)


def _with_safe_starts(text: str) -> str:
    """Return text of which no line begins a block."""
    return "\n".join(
        f"{match[0]}\\{line[match.end() :]}"
        if (match := _BLOCK_START.match(line)) and match[0].isdigit()
        else f"\\{line}"
        if match and _begins_block(line)
        else line
        for line in text.split("\n")
    )


def _begins_block(line: str) -> bool:
    """Return True if a line that begins with a mark would begin a block."""
    return bool(re.match(r"#{1,6}(?:\s|$)|>|[-+*](?:\s|$)|(?:[-=*_]\s*)+$|~{3}|`{3}|\|", line))
