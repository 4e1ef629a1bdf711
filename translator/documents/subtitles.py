"""SubRip subtitles (.srt). A sentence over several subtitles is translated whole and divided among them again."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import accumulate, pairwise

import srt

from translator.documents.errors import DocumentError
from translator.documents.inline import Atom, Content, Inline, Span, Tag, cut, merge_text, nest, plain_text, write_marks
from translator.documents.text_files import decode_text
from translator.errors import shorten
from translator.inference.splitting import sentence_spans
from translator.inference.texts import clean

_MARKUP = re.compile(r"<(?P<slash>/?)(?P<name>[a-zA-Z]+)[^<>]*>|\{\\[^{}]*\}")
_DASH = re.compile(r"\s*[-–—‐]+\s*(?=[^\s\d])")
_UNFINISHED = re.compile(r"(?:\.{3}|…|[^.!?…:»\"”)\]♪#*])\s*\Z")
_GOES_ON = re.compile(r"(?:\.{3}|…)?\s*[a-zà-öø-ÿœ\d]")
_MAX_PAUSE = timedelta(seconds=3)
_MAX_JOINED = 6  # subtitles of one sentence
_LINE_WIDTH = 42  # characters; the usual limit of subtitles
_MAX_SHIFT = 12  # characters by which word alignment may move a cut, or a quarter of the text
_PUNCTUATION_BONUS = 8  # characters by which a cut after a punctuation mark may be further from its place


@dataclass(frozen=True)
class _Turn:
    """Text of one speaker in one subtitle.

    Attributes:
        cue: number of the subtitle.
        prefix: codes before the text, such as its position.
        wrappers: marks of the spans around the whole text.
        dash: dash before the text, inside of them.
        content: the text inside of them.
        num_lines: number of its lines.
    """

    cue: int
    prefix: str
    wrappers: tuple[tuple[str, str], ...]
    dash: str
    content: Content
    num_lines: int


@dataclass(frozen=True)
class _Piece:
    """Sentences that are translated together: their content, and their length in each of consecutive turns."""

    first_turn: int
    lengths: tuple[int, ...]


class Subtitles:
    """A file of subtitles in SubRip's format. A file that is not UTF-8 is read as Windows-1252.

    Args:
        data: content of the file.

    Raises:
        DocumentError: if it is not in this format.
    """

    def __init__(self, data: bytes) -> None:
        text = decode_text(data, "cp1252")
        self._line_end = "\r\n" if "\r\n" in text else "\n"
        try:
            self._cues = list(srt.parse(text.replace("\r\n", "\n")))
        except (srt.SRTParseError, ValueError) as error:
            raise DocumentError(
                "The .srt file must hold numbered subtitles with `00:00:01,000 --> 00:00:02,000`. "
                f"Received: {shorten(str(error))}."
            ) from error
        self._turns = [turn for number, cue in enumerate(self._cues) for turn in _turns(number, cue.content)]
        self.contents: list[Content] = []
        self._pieces: list[_Piece] = []
        for first, end in self._chains():
            for piece, content in _pieces(first, [turn.content for turn in self._turns[first:end]]):
                self._pieces.append(piece)
                self.contents.append(content)

    def write(self, contents: Sequence[Content]) -> bytes:
        """Return the subtitles with other contents, in UTF-8. Numbers and times are kept."""
        texts: list[list[Inline]] = [[] for _ in self._turns]
        for piece, content in zip(self._pieces, contents, strict=True):
            for place, part in enumerate(divide(content, piece.lengths), start=piece.first_turn):
                texts[place] += [" ", *part] if texts[place] and part else part
        lines: list[list[str]] = [[] for _ in self._cues]
        for turn, text in zip(self._turns, texts, strict=True):
            lines[turn.cue].append(_written_turn(turn, merge_text(tuple(text))))
        for number, (cue, own) in enumerate(zip(self._cues, lines, strict=True), start=1):
            cue.content = "\n".join(own)
            cue.index = number if cue.index is None else cue.index
        written: str = srt.compose(self._cues, reindex=False, strict=False)
        return clean(written.replace("\n", self._line_end)).encode()

    def _chains(self) -> Iterator[tuple[int, int]]:
        """Yield the first turn of each sequence of turns that may share sentences, and the turn after its last."""
        first = 0
        for number in range(1, len(self._turns) + 1):
            is_joined = number < len(self._turns) and number - first < _MAX_JOINED and self._goes_on(number)
            if not is_joined and number > first:
                yield first, number
                first = number

    def _goes_on(self, number: int) -> bool:
        """Return True if a turn continues a sentence of the turn before it."""
        before, turn = self._turns[number - 1], self._turns[number]
        pause = self._cues[turn.cue].start - self._cues[before.cue].end
        if turn.dash or turn.cue == before.cue or pause > _MAX_PAUSE:
            return False
        text = plain_text(before.content).rstrip()
        if not _UNFINISHED.search(text):
            return False
        return text.endswith(",") or bool(_GOES_ON.match(plain_text(turn.content).lstrip()))


def _turns(cue: int, text: str) -> Iterator[_Turn]:
    """Yield the turns of a subtitle. A line that begins with a dash begins a turn."""
    content = nest(_nodes(text))
    shown = plain_text(content)
    starts = [match.start() for match in re.finditer(r"^", shown, re.MULTILINE) if _DASH.match(shown, match.start())]
    rest, place = content, 0
    for end in [*(start for start in starts if start), len(shown)]:
        part, rest = cut(rest, end - place) if end < len(shown) else (rest, ())
        place = end
        yield _turn(cue, part)


def _turn(cue: int, content: Content) -> _Turn:
    num_lines = len(plain_text(content).strip().split("\n"))
    nodes = [node for node in content if not isinstance(node, str) or node.strip()]
    prefix = ""
    while nodes and isinstance(atom := nodes[0], Atom):
        prefix += atom.mark
        nodes = nodes[1:]
    wrappers: list[tuple[str, str]] = []
    while len(nodes) == 1 and isinstance(span := nodes[0], Span):
        wrappers.append(span.mark)
        nodes = [node for node in span.content if not isinstance(node, str) or node.strip()]
    dash = _DASH.match(first) if nodes and isinstance(first := nodes[0], str) else None
    if dash:
        nodes[0] = dash.string[dash.end() :]
    shown_dash = f"{dash[0].strip()} " if dash else ""
    return _Turn(cue, prefix, tuple(wrappers), shown_dash, merge_text(tuple(nodes)), num_lines)


def _nodes(text: str) -> Iterator[Inline | Tag]:
    place = 0
    for match in _MARKUP.finditer(text):
        yield text[place : match.start()]
        place = match.end()
        yield Tag(match["name"].lower(), bool(match["slash"]), match[0]) if match["name"] else Atom(match[0])
    yield text[place:]


def _pieces(first_turn: int, contents: Sequence[Content]) -> Iterator[tuple[_Piece, Content]]:
    """Yield the sentences of consecutive turns; those that are in one turn together."""
    joined = merge_text(tuple(node for content in contents for node in (*content, " ")))
    ends = list(accumulate(len(plain_text(content)) + 1 for content in contents))
    start = 0
    pending = 0  # characters of complete sentences in the turn at `start`
    for sentence in sentence_spans(plain_text(joined).replace("\n", " ")):
        end = start + pending + len(sentence)
        if _turn_at(ends, start) == _turn_at(ends, end - 1):
            pending += len(sentence)
            continue
        if pending:
            content, joined = cut(joined, pending)
            yield _piece(first_turn, ends, start, start + pending), content
            start, pending = start + pending, 0
        if _turn_at(ends, start) == _turn_at(ends, end - 1):
            pending = len(sentence)
            continue
        content, joined = cut(joined, len(sentence))
        piece = _piece(first_turn, ends, start, end)
        yield piece, _with_cuts(content, piece.lengths)
        start = end
    if pending:
        yield _piece(first_turn, ends, start, start + pending), joined


def _turn_at(ends: Sequence[int], place: int) -> int:
    return bisect_right(ends, place)


def _piece(first_turn: int, ends: Sequence[int], start: int, end: int) -> _Piece:
    first, last = _turn_at(ends, start), _turn_at(ends, end - 1)
    bounds = [start, *ends[first:last], end]
    return _Piece(first_turn + first, tuple(after - before for before, after in pairwise(bounds)))


def divide(content: Content, lengths: Sequence[int]) -> list[Content]:
    """Divide content at spaces into as many parts as there are lengths, about in their proportion.

    A cut where word alignment puts it, or after a punctuation mark, is preferred. If there are too few words, the last
    parts are empty.
    """
    content, aligned = _without_cuts(content)
    parts: list[Content] = []
    place = 0  # of `content` in the whole text
    for number in range(len(lengths) - 1):
        text = plain_text(content)
        wanted = len(text) * lengths[number] / max(1, sum(lengths[number:]))
        if number < len(aligned) and abs(aligned[number] - place - wanted) <= max(_MAX_SHIFT, len(text) / 4):
            wanted = aligned[number] - place
        spaces = [match.span() for match in re.finditer(r"(?<=\S)\s+(?=\S)", text)]
        spaces = spaces[: max(1, len(spaces) - (len(lengths) - 2 - number))]  # leave words for the others
        if not spaces:
            parts.append(content)
            content = ()
            continue
        start, end = min(spaces, key=lambda span: _cost(text, span[0], wanted))
        place += end
        part = cut(content, start)[0]
        content = cut(content, end)[1]
        parts.append(part)
    return [_stripped(part) for part in (*parts, content)]


def _cost(text: str, place: int, wanted: float) -> float:
    """Return the cost of a cut: its distance from the wanted place, less after a punctuation mark."""
    bonus = min(_PUNCTUATION_BONUS, len(text) / 6) if text[place - 1] in ",;:.!?…" else 0.0
    return abs(place - wanted) - bonus


def _without_cuts(content: Content) -> tuple[Content, list[int]]:
    """Return content without the marks of cuts, and the places of these in its text."""
    kept: list[Inline] = []
    places: list[int] = []
    for node in content:
        if isinstance(node, Atom) and node.mark is None:
            places.append(len(plain_text(tuple(kept))))
            continue
        if isinstance(node, Span):
            inner, inner_places = _without_cuts(node.content)
            places += [len(plain_text(tuple(kept))) + place for place in inner_places]
            node = replace(node, content=inner)
        kept.append(node)
    return merge_text(tuple(kept)), sorted(places)


def _with_cuts(content: Content, lengths: Sequence[int]) -> Content:
    """Return content with a mark where each turn but the first begins."""
    parts: list[Inline] = []
    for length in lengths[:-1]:
        part, content = cut(content, length)
        parts += [*part, Atom(None, is_optional=True)]
    return (*parts, *content)


def _stripped(content: Content) -> Content:
    """Return content without white space at its ends."""
    nodes = list(content)
    if nodes and isinstance(first := nodes[0], str):
        nodes[0] = first.lstrip()
    if nodes and isinstance(last := nodes[-1], str):
        nodes[-1] = last.rstrip()
    return merge_text(tuple(nodes))


def _written_turn(turn: _Turn, content: Content) -> str:
    """Return the lines of a turn: as many as before, or more if they would be too long."""
    length = len(plain_text(content))
    num_lines = max(1, min(turn.num_lines, length)) if length > _LINE_WIDTH else 1
    num_lines = max(num_lines, -(-length // _LINE_WIDTH) if turn.num_lines > 1 else 1)
    text = "\n".join(filter(None, (write_marks(line) for line in divide(content, [1] * num_lines))))
    text = turn.dash + text
    for opening, closing in reversed(turn.wrappers):
        text = f"{opening}{text}{closing}"
    return turn.prefix + text
