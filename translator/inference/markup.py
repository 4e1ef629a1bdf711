"""Inline tags of a text placed in its translation, by word alignment.

Whatever the alignment, each tag occurs exactly once, and each element stays inside the element that contains it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from translator.inference.alignment import Alignment
from translator.inference.fragment import Fragment, Node, escape
from translator.inference.results import Translation
from translator.tokenizer.invisible import is_invisible

_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc"), "'")
_OUTSIDE_COST = 0.9  # of a word without links into an element; below 1, so that more words are better than fewer
_MIN_GAIN = 0.01  # of a word with as many links out of an element as into it
_MAX_SKIPPED = 40  # characters that no word of an alignment covers, between two that do


def with_tags(fragment: Fragment, translation: Translation, keeps_alignment: bool) -> Translation:
    """Return the translation of a fragment's plain text with the tags of the fragment in each hypothesis."""
    hypotheses = []
    for each in translation.hypotheses:
        assert each.alignment is not None
        text = place_tags(fragment, each.text, each.alignment)
        hypotheses.append(replace(each, text=text, alignment=each.alignment if keeps_alignment else None))
    return replace(translation, source=fragment.source, hypotheses=tuple(hypotheses))


def place_tags(fragment: Fragment, translation: str, alignment: Alignment) -> str:
    """Return the translation of a fragment's plain text as a fragment with the same tags.

    An element encloses the contiguous words that have most links into it and fewest out of it. A mark stands where it
    crosses the fewest links.

    Args:
        fragment: the text.
        translation: translation of `fragment.plain`.
        alignment: word alignment of both.
    """
    words = _Words.of(translation, alignment, [node.mask for node in fragment.root.walk() if node.mask])
    placing = _Placing(fragment, words, word_spans(alignment.source, fragment.plain))
    return _Writer(words, placing).write(fragment.root)


def word_spans(words: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Return the characters of a text that each word covers, from start to end.

    The words are those of the text up to case, compatibility characters, accents in several characters, and invisible
    characters. A word that is not found covers nothing.
    """
    places: list[int] = []
    simple: list[str] = []
    for place, character in enumerate(text):
        for each in _simplified(character):
            simple.append(each)
            places.append(place)
    joined, at, spans = "".join(simple), 0, []
    for word in words:
        wanted = "".join(map(_simplified, word))
        found = joined.find(wanted, at, at + len(wanted) + _MAX_SKIPPED) if wanted else -1
        if found < 0:
            place = places[at] if at < len(places) else len(text)
            spans.append((place, place))
            continue
        at = found + len(wanted)
        spans.append((places[found], places[at - 1] + 1))
    return spans


def _simplified(character: str) -> str:
    if character.isascii():
        return character.lower().strip()
    if is_invisible(character):
        return ""
    return "".join(unicodedata.normalize("NFKD", character).translate(_APOSTROPHES).casefold().split())


@dataclass(frozen=True)
class _Item:
    """A node and its place in the translation: from the target word `start` to before the word `end`."""

    node: Node
    start: int
    end: int


@dataclass(frozen=True)
class _Words:
    """The target words of a fragment: every character that is not white space is in one.

    Attributes:
        texts: the words.
        has_space: whether white space precedes each.
        links: numbers of the source words that each is linked to.
    """

    texts: list[str]
    has_space: list[bool]
    links: list[set[int]]

    @classmethod
    def of(cls, translation: str, alignment: Alignment, masks: Sequence[str]) -> _Words:
        """Return the words of a translation; masks, and text that is not in the alignment, are words of their own."""
        linked: dict[int, set[int]] = {}
        for start, end in alignment.links:
            linked.setdefault(end, set()).add(start)
        words = cls([], [], [])
        mask = rf"(?:{'|'.join(masks)})(?!\d)"
        pattern = re.compile(rf"{mask}|(?:(?!{mask})\S)+" if masks else r"\S+")
        at = 0
        for number, (start, end) in enumerate([*word_spans(alignment.target, translation), (len(translation),) * 2]):
            words._add(pattern, translation, at, start, set())
            words._add(pattern, translation, max(at, start), end, linked.get(number, set()))
            at = max(at, end)
        return words

    def _add(self, pattern: re.Pattern[str], text: str, start: int, end: int, links: set[int]) -> None:
        while match := pattern.search(text, start, end):
            self.texts.append(match[0])
            self.has_space.append(text[match.start() - 1 : match.start()].isspace())
            self.links.append(set(links))
            start = match.end()


class _Placing:
    """Finds a place for each tag of a fragment.

    Args:
        fragment: the fragment.
        words: words of its translation.
        source: span of each source word in the plain text.
    """

    def __init__(self, fragment: Fragment, words: _Words, source: Sequence[tuple[int, int]]) -> None:
        self.items: dict[int, list[_Item]] = {}  # the children of each node, by its identity
        self.masks: dict[int, Node] = {}  # the target words that stand for elements that are not translated
        self.removed: set[int] = set()  # target words that are masks in excess
        self._links = words.links
        middles = [(start + end - 1) / 2 for start, end in source]
        self._middles = middles
        self._inside = {
            id(node): {number for number, middle in enumerate(middles) if node.start <= middle < node.end}
            for node in fragment.root.walk()
        } | {id(fragment.root): set(range(len(middles)))}
        self._find_masks(fragment, words)
        self._place(fragment.root, 0, len(words.texts))

    def _find_masks(self, fragment: Fragment, words: _Words) -> None:
        """Link the masks of source and target to one another only; one that is not unique is removed."""
        nodes = {node.mask: node for node in fragment.root.walk() if node.mask}
        counts = Counter(text for text in words.texts if text in nodes)
        for place, text in enumerate(words.texts):
            if text not in nodes:
                continue
            node = nodes[text]
            if counts[text] > 1:
                self.removed.add(place)
                continue
            self.masks[place] = node
            for links in self._links:
                links -= self._inside[id(node)]
            self._links[place] = set(self._inside[id(node)])

    def _place(self, parent: Node, start: int, end: int) -> None:
        """Place the children of a node that encloses the target words from `start` to `end`."""
        spanning = [node for node in parent.children if node.mask or node.closing]
        free = [place not in self.removed for place in range(start, end)]
        gains = {id(node): self._best_run(node, parent, start, free)[0] for node in spanning}
        items = []
        for node in sorted(spanning, key=lambda node: -gains[id(node)]):
            gain, first, last = self._best_run(node, parent, start, free)
            if gain > 0:
                items.append(_Item(node, first, last))
                free[first - start : last - start] = [False] * (last - first)
        placed = {id(item.node) for item in items}
        blocked = {gap for item in items for gap in range(item.start + 1, item.end)}
        gaps = [gap for gap in range(start, end + 1) if gap not in blocked]
        for node in parent.children:
            if id(node) not in placed:
                gap = self._best_gap(node, parent, start, end, gaps)
                items.append(_Item(node, gap, gap))
        order = {id(node): number for number, node in enumerate(parent.children)}
        self.items[id(parent)] = sorted(
            items, key=lambda item: (item.start, item.end > item.start, order[id(item.node)])
        )
        for item in items:
            self._place(item.node, item.start, item.end)

    def _best_run(self, node: Node, parent: Node, start: int, free: Sequence[bool]) -> tuple[float, int, int]:
        """Return the gain of the best run of free target words for a node, and the run.

        A word gains by links into the node, and loses a little less by others. If all source words of the parent are in
        the node, so are all target words.

        Args:
            node: the node.
            parent: the node that contains it.
            start: first target word of the parent.
            free: whether each target word of the parent has no other place.
        """
        if node.mask:
            for place, is_free in enumerate(free, start):
                if is_free and self.masks.get(place) is node:
                    return 1.0, place, place + 1
            return 0.0, start, start
        inside = self._inside[id(node)]
        if inside and inside == self._inside[id(parent)] and all(free):
            return float(len(free)), start, start + len(free)
        best = (0.0, start, start)
        total, first = 0.0, start
        for place, is_free in enumerate(free, start):
            links = self._links[place]
            if total <= 0 or not is_free:
                total, first = 0.0, place + (not is_free)
            if is_free and links:
                share = len(links & inside) / len(links)
                total += 2 * share - 1 if share > 0.5 else -_OUTSIDE_COST * (1 - share)
                if not best[0] and share:  # better than no word
                    best = (_MIN_GAIN * share, place, place + 1)
            if total > max(best[0], _MIN_GAIN):
                best = (total, first, place + 1)
        return best

    def _best_gap(self, node: Node, parent: Node, start: int, end: int, gaps: Sequence[int]) -> int:
        """Return the gap between the target words of the parent where a mark crosses the fewest links."""
        inside = self._inside[id(parent)]
        before = {number for number in inside if self._middles[number] < node.start}
        after = {number for number in inside if self._middles[number] >= node.end}
        crossed = sum(len(self._links[place] & before) for place in range(start, end))
        costs = {start: crossed}
        for place in range(start, end):
            crossed += len(self._links[place] & after) - len(self._links[place] & before)
            costs[place + 1] = crossed
        is_last = bool(before) and not after
        return min(gaps, key=lambda gap: (costs[gap], -gap if is_last else gap))


class _Writer:
    """Writes the words of a translation with the tags between them.

    Args:
        words: the words.
        placing: places of the tags.
    """

    def __init__(self, words: _Words, placing: _Placing) -> None:
        self._words = words
        self._placing = placing
        self._written: list[str] = []
        self._is_spaced = True  # nothing, or white space, precedes
        self._is_space_due = False

    def write(self, root: Node) -> str:
        """Return the fragment."""
        self._write_children(root, 0, len(self._words.texts))
        return "".join(self._written)

    def _write_children(self, parent: Node, start: int, end: int) -> None:
        place = start
        items = self._placing.items[id(parent)]
        for item in items:
            self._write_words(place, item.start)
            place = item.end
            self._write_node(item)
        self._write_words(place, end)

    def _write_words(self, start: int, end: int) -> None:
        for place in range(start, end):
            self._is_space_due |= self._words.has_space[place]
            if place not in self._placing.masks and place not in self._placing.removed:
                self._write_text(escape(self._words.texts[place]))

    def _write_node(self, item: _Item) -> None:
        node = item.node
        if item.start < item.end:
            self._is_space_due |= self._words.has_space[item.start]
            self._write_space()
            self._written.append(node.opening)
            self._is_spaced |= not node.mask  # the space before the first word stands before the tag
            self._write_children(node, item.start, item.end if not node.mask else item.start)
            self._written.append(node.closing)
            self._is_spaced &= not node.mask
        elif node.closing:
            self._written.append(node.opening)
            self._write_children(node, item.start, item.end)
            self._written.append(node.closing)
        else:
            self._write_mark(node)

    def _write_mark(self, node: Node) -> None:
        """Write a mark, with white space before it and after it where the source has it."""
        has_before, has_after = node.has_space
        if has_before:
            self._is_space_due = True
            self._write_space()
        self._written.append(node.opening)
        if node.mask:
            self._is_spaced = False
        elif has_before or node.is_separator:
            self._is_spaced = not has_after
        self._is_space_due = has_after and (has_before or self._is_spaced)
        self._is_spaced &= not self._is_space_due

    def _write_space(self) -> None:
        if self._is_space_due and not self._is_spaced:
            self._written.append(" ")
            self._is_spaced = True
        self._is_space_due = False

    def _write_text(self, text: str) -> None:
        self._write_space()
        self._written.append(text)
        self._is_spaced = False
