"""Text with inline markup, independent of the format of the document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

# Web and e-mail addresses, without punctuation marks that follow them; and fields of templates.
KEPT = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{1,20}://|\bmailto:|\bwww\.)[^\s<>\"«»]*[^\s<>\"«».,;:!?…)\]'’]"
    r"|\b[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+|\{\{[^{}\n]*\}\}|\{%[^{}\n]*%\}",
    re.IGNORECASE,
)


MAX_DEPTH = 40  # spans inside each other; deeper ones are breaks, so that recursion is bounded
_FINAL_PERIOD = re.compile(
    r"(?:\A|(?<![\w.])(?!(?:etc|inc|ltd)\.)[^\W\d_]{3,}|\d[\w%]*|[»”\"’')\]])\.\Z", re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class Span:
    """Text with a property, such as bold or a link.

    Attributes:
        mark: the property, as the format of the document represents it.
        content: the text and its inner markup.
    """

    mark: Any
    content: Content


@dataclass(frozen=True, eq=False)
class Atom:
    """An object in the text that is kept as it is, such as a picture, a reference to a footnote, or code.

    Attributes:
        mark: the object, as the format of the document represents it.
        is_break: True for an object that ends a text, such as a tab. What is before it and what is after it are
            translated separately.
        text: text of the object that the translation model may read.
        is_optional: True for an object that is left out if the engine gives no word alignment.
        pair: for an object at one end of a range, such as a bookmark: the name of the range, and True at its beginning.
    """

    mark: Any
    is_break: bool = False
    text: str = ""
    is_optional: bool = False
    pair: tuple[str, bool] | None = None


@dataclass(frozen=True, eq=False)
class Tag:
    """The beginning or the end of a span, before the two are matched.

    Attributes:
        name: name that is equal for both.
        is_end: True for the end.
        mark: the tag, as the format of the document represents it.
    """

    name: str
    is_end: bool
    mark: Any


Inline = str | Span | Atom
Content = tuple[Inline, ...]
Change = Callable[[Content], Content]


def plain_text(content: Content) -> str:
    """Return the text without markup."""
    return "".join(
        node if isinstance(node, str) else plain_text(node.content) if isinstance(node, Span) else ""
        for node in content
    )


def is_translatable(content: Content) -> bool:
    """Return True if there is a letter outside addresses and fields of templates."""
    return any(map(str.isalpha, KEPT.sub("", plain_text(content))))


def merge_text(content: Content) -> Content:
    """Return the content with adjacent strings joined and empty ones left out."""
    merged: list[Inline] = []
    for node in content:
        if isinstance(node, str) and merged and isinstance(merged[-1], str):
            merged[-1] += node
        elif node != "":
            merged.append(node)
    return tuple(merged)


def nest(nodes: Iterable[Inline | Tag]) -> Content:
    """Make what is between two tags a span, whose mark is the pair of their marks.

    A tag without its counterpart is a break: it stays between the texts around it.
    """
    levels: list[tuple[Tag | None, list[Inline]]] = [(None, [])]
    for node in nodes:
        if not isinstance(node, Tag):
            levels[-1][1].append(node)
        elif not node.is_end:
            if len(levels) > MAX_DEPTH:
                _dissolve(levels)
            levels.append((node, []))
        elif node.name in [tag.name for tag, _ in levels if tag]:
            while (tag := levels[-1][0]) and tag.name != node.name:
                _dissolve(levels)
            opening, content = levels.pop()
            assert opening is not None
            levels[-1][1].append(Span((opening.mark, node.mark), merge_text(tuple(content))))
        else:
            levels[-1][1].append(Atom(node.mark, is_break=True))
    while len(levels) > 1:
        _dissolve(levels)
    return merge_text(tuple(levels[0][1]))


def _dissolve(levels: list[tuple[Tag | None, list[Inline]]]) -> None:
    """Make the last tag that was opened a break, for lack of its end."""
    tag, content = levels.pop()
    assert tag is not None
    levels[-1][1].extend([Atom(tag.mark, is_break=True), *content])


def pair_marks(content: Content) -> Content:
    """Make each range between two atoms a span, whose mark is the pair of them. Ranges that overlap stay atoms."""
    levels: list[list[Inline]] = [[]]
    for node in content:
        pair = node.pair if isinstance(node, Atom) else None
        if pair and pair[1]:
            levels.append([node])
            continue
        names = [level[0].pair[0] for level in levels[1:] if isinstance(level[0], Atom) and level[0].pair]
        if pair and pair[0] in names:
            place = names.index(pair[0]) + 1
            first, *inner = (each for level in levels[place:] for each in level)
            del levels[place:]
            node = Span((first, node), tuple(inner))
        levels[-1].append(node)
    return tuple(node for level in levels for node in level)


def change_texts(content: Content, change: Change) -> Content:
    """Replace each text to translate.

    A text is between two breaks. It begins and ends with a letter, digit or punctuation mark: white space, atoms and
    empty spans at its ends, and spans around the whole of it, are kept where they are.

    Args:
        content: the content of a paragraph.
        change: function from a text to its replacement. It is called in the order of the texts.
    """
    changed: list[Inline] = []
    text: list[Inline] = []
    for node in merge_text(content):
        if not _has_break(node):
            text.append(node)
            continue
        changed += _change_text(tuple(text), change)
        text = []
        changed.append(replace(node, content=change_texts(node.content, change)) if isinstance(node, Span) else node)
    return merge_text((*changed, *_change_text(tuple(text), change)))


def _has_break(node: Inline) -> bool:
    if isinstance(node, Span):
        return any(map(_has_break, node.content))
    return isinstance(node, Atom) and node.is_break


def _change_text(content: Content, change: Change) -> Content:
    before, text, after = _without_ends(content)
    if len(text) == 1 and isinstance(span := text[0], Span):
        inner = replace(span, content=_change_text(merge_text(span.content), change))
        return merge_text((*before, inner, *after))
    if not is_translatable(text):
        return content
    return merge_text((*before, *change(text), *after))


def _without_ends(content: Content) -> tuple[Content, Content, Content]:
    """Return the content before a text, the text without white space at its ends, and the content after it."""
    start, end = 0, len(content)
    while start < end and not plain_text((content[start],)).strip():
        start += 1
    while start < end and not plain_text((content[end - 1],)).strip():
        end -= 1
    before, text, after = list(content[:start]), list(content[start:end]), list(content[end:])
    if text and isinstance(first := text[0], str):
        text[0] = rest = first.lstrip()
        before.append(first[: len(first) - len(rest)])
    if text and isinstance(last := text[-1], str):
        text[-1] = rest = last.rstrip()
        after.insert(0, last[len(rest) :])
    return tuple(before), tuple(text), tuple(after)


def cut(content: Content, place: int) -> tuple[Content, Content]:
    """Cut content after `place` characters of its text. A span that is cut continues in the second part."""
    first: list[Inline] = []
    for number, node in enumerate(content):
        length = len(plain_text((node,)))
        if length <= place:
            first.append(node)
            place -= length
            continue
        rest = content[number + 1 :]
        if isinstance(node, str):
            return merge_text((*first, node[:place])), (node[place:], *rest)
        assert isinstance(node, Span)  # atoms have no text
        head, tail = cut(node.content, place) if place else ((), node.content)
        start = (replace(node, content=head),) if head else ()
        return (*first, *start), (replace(node, content=tail), *rest)
    return tuple(first), ()


def without_period(content: Content) -> Content:
    """Return content without the period at its end, unless it is that of an abbreviation.

    Models trained on sentences end the translation of a heading or an item by a period that the text does not have.
    """
    if content and isinstance(last := content[-1], str) and _FINAL_PERIOD.search(last):
        return merge_text((*content[:-1], last[:-1]))
    return content


def write_marks(content: Content) -> str:
    """Return content as text, if marks are text: one of an atom, the one before and the one after of a span."""
    written = ""
    for node in content:
        if isinstance(node, str):
            written += node
        elif isinstance(node, Atom):
            written += node.mark
        else:
            written += f"{node.mark[0]}{write_marks(node.content)}{node.mark[1]}"
    return written
