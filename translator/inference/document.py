"""Structure of plain-text documents: what to translate, and where the translations go.

Blank lines, indents, list markers and line ends are kept. The lines of a hard-wrapped paragraph are joined, so that
its sentences are whole, and its translation is wrapped to the same width.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

# Indent, quotation marks of e-mail, and a bullet, a number, a letter or the mark of a heading. A capital and a period
# begin a name (`M. Dupont`) more often than an item, `I.` excepted. A long dash before lowercase is inside a sentence.
_MARKER = re.compile(
    r"\s*(?:>\s?)*\s*"
    r"(?:(?:[-*+•·▪◦]|[–—](?!\s+[a-zà-öø-ÿœ])|\#{1,6}|\(?\d{1,3}(?:\.\d{1,3})*[.)]|\(?[a-zA-Z]\)|[a-z]\."
    r"|\(?[IVX]{2,5}[.)]|I\.)\s+)?"
)
_INDENT = re.compile(r"\s*(?:>\s?)*\s*")
_SENTENCE_END = re.compile(r"[.!?…:;][»”\"’')\]\s]*\Z")

_MIN_WIDTH = 40  # characters; shorter lines are verse, addresses or headings
_MAX_WIDTH = 120  # characters; longer lines are paragraphs of one line
_MIN_FULL_SHARE = 0.7  # of the lines of a wrapped paragraph, the last one aside


@dataclass(frozen=True)
class Block:
    """Consecutive lines that are translated as one text.

    Attributes:
        text: text to translate; empty for a line that is kept as it is.
        marker: characters before the text on the first line.
        indent: characters before the text on further lines.
        width: maximum length of a line if the block had several lines, otherwise 0: the translation is one line.
        end: line end of its lines.
        is_last_ended: whether the last line has a line end.
    """

    text: str
    marker: str = ""
    indent: str = ""
    width: int = 0
    end: str = "\n"
    is_last_ended: bool = True

    def write(self, translation: str) -> str:
        """Return the lines of the block with a translation in place of the text."""
        lines = [self.marker + translation] if self.text else [self.marker]
        if self.width:
            lines = textwrap.wrap(
                translation,
                self.width,
                initial_indent=self.marker,
                subsequent_indent=self.indent,
                break_long_words=False,
                break_on_hyphens=False,
            ) or [self.marker]
        return self.end.join(lines) + (self.end if self.is_last_ended else "")


@dataclass(frozen=True)
class Document:
    """A plain-text document.

    Attributes:
        blocks: the blocks in order; written one after the other, they are the document.
    """

    blocks: tuple[Block, ...]

    @classmethod
    def read(cls, text: str) -> Document:
        """Divide a text into blocks. Lines end at `\\n`, `\\r\\n` or `\\r`."""
        lines = [_Line.read(line) for line in re.findall(r"[^\r\n]*(?:\r\n|[\r\n])|[^\r\n]+", text)]
        width = _wrap_width(lines)
        return cls(tuple(_block(group) for group in _groups(lines, width)))

    @property
    def texts(self) -> list[str]:
        """The texts to translate."""
        return [block.text for block in self.blocks if block.text]

    def write(self, translations: Iterable[str]) -> str:
        """Return the document with a translation for each of `texts`."""
        following = iter(translations)
        return "".join(block.write(next(following) if block.text else "") for block in self.blocks)


@dataclass(frozen=True)
class _Line:
    """A line: its marker (an indent at least), its text, its trailing white space and its end."""

    marker: str
    text: str
    end: str

    @classmethod
    def read(cls, line: str) -> _Line:
        """Divide a line into its marker, its text and its end."""
        content = line.rstrip("\r\n")
        matched = _MARKER.match(content)
        assert matched is not None
        marker = matched[0] if any(map(str.isalnum, content[matched.end() :])) else content
        return cls(marker, content[len(marker) :].rstrip(), line[len(content) :])

    @property
    def indent(self) -> str:
        """The marker without a bullet or number."""
        matched = _INDENT.match(self.marker)
        assert matched is not None
        return matched[0]

    @property
    def is_item(self) -> bool:
        """True if the marker holds a bullet or number."""
        return self.indent != self.marker

    @property
    def length(self) -> int:
        """Characters without the line end and the white space before it."""
        return len(self.marker) + len(self.text)


def _wrap_width(lines: Sequence[_Line]) -> int:
    """Return the width to which paragraphs of a document are wrapped, or 0 if it has none of that kind."""
    width = max((line.length for line in lines if line.length <= _MAX_WIDTH), default=0)
    return width if width >= _MIN_WIDTH else 0


def _groups(lines: Sequence[_Line], width: int) -> Iterator[list[_Line]]:
    """Yield the lines of each block."""
    paragraph: list[_Line] = []
    for line in lines:
        if not line.text or (paragraph and (line.is_item or not _same_depth(paragraph, line))):
            yield from _joined(paragraph, width)
            paragraph = []
        if line.text:
            paragraph.append(line)
        else:
            yield [line]
    yield from _joined(paragraph, width)


def _same_depth(paragraph: Sequence[_Line], line: _Line) -> bool:
    """Return True if a line may continue a paragraph or an item: the first line of either may have another indent."""
    previous = paragraph[-1].indent
    return line.indent.count(">") == previous.count(">") and (len(paragraph) == 1 or line.indent == previous)


def _joined(paragraph: Sequence[_Line], width: int) -> Iterator[list[_Line]]:
    """Yield the lines of a paragraph, those together that were one before it was wrapped."""
    if not paragraph:
        return
    is_full = [_is_full(line, following, width) for line, following in pairwise(paragraph)]
    is_wrapped = sum(is_full) >= _MIN_FULL_SHARE * len(is_full)
    ends_sentence = bool(_SENTENCE_END.search(paragraph[-1].text))
    group = [paragraph[0]]
    for line, full in zip(paragraph[1:], is_full, strict=True):
        # Unlike a list without markers, a sentence that goes on in lowercase ends with a mark.
        is_lower = line.text.lstrip("–—- ")[:1].islower()
        is_open = is_lower and ends_sentence and not _SENTENCE_END.search(group[-1].text)
        if is_open or (is_wrapped and full):
            group.append(line)
        else:
            yield group
            group = [line]
    yield group


def _is_full(line: _Line, following: _Line, width: int) -> bool:
    """Return True if the first word of the following line would have exceeded the width."""
    word = following.text.split(maxsplit=1)[0]
    return line.length <= width < line.length + 1 + len(word)


def _block(lines: Sequence[_Line]) -> Block:
    first, last = lines[0], lines[-1]
    return Block(
        text=" ".join(line.text for line in lines),
        marker=first.marker,
        indent=lines[1].marker if len(lines) > 1 else "",
        width=max(line.length for line in lines) if len(lines) > 1 else 0,
        end=first.end or "\n",
        is_last_ended=bool(last.end),
    )
