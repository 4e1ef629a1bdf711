"""Inline markup of Markdown: emphasis, links, pictures, code and HTML tags as inline content, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import punctuation
from typing import Any

from markdown_it.token import Token

from translator.documents.inline import (
    KEPT,
    Atom,
    Content,
    Inline,
    Tag,
    is_translatable,
    merge_text,
    nest,
    plain_text,
)

# Marks inside text that only some readers of Markdown know: notes, alerts, boxes of tasks, formulas, emoji.
_KEPT = re.compile(
    r"\[\^[^\]\s]+\]:?|^\[![A-Za-z]+\]|^\[[ xX]\](?=\s)|\$\$.+?\$\$|\$(?=\S)[^$]+(?<=\S)\$(?!\d)"
    rf"|:[a-z0-9_+-]+:(?=\s|$)|{KEPT.pattern}",
    re.IGNORECASE,
)
_SPECIAL = re.compile(
    r"\\(?=[!-/:-@\[-`{-~])|`|(?<!\s)\*|\*(?!\s)|(?<![^\W_])_(?!\s)|(?<!\s)_(?![^\W_])|\[|\]|<(?=[a-zA-Z/!?])"
    r"|&(?=#?\w+;)|~(?=~)|(?<=~)~"
)
_CODE_TAGS = frozenset({"code", "kbd", "samp", "var", "pre", "script", "style", "svg"})
_TAG = re.compile(r"<(?P<slash>/?)(?P<name>[a-zA-Z][\w-]*)")


@dataclass(frozen=True)
class _Value:
    """Place of the content of this number, as plain text."""

    number: int


_Parts = tuple[str | _Value, ...]


class InlineReader:
    """Reads inline tokens.

    Args:
        labels: labels of link definitions as they are written, by their normalized form.

    Attributes:
        contents: contents that were read: texts, alternative texts of pictures, and titles.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.contents: list[Content] = []
        self._labels = labels

    def read(self, token: Token) -> int:
        """Read an inline token and return the number of its content."""
        has_slashes = "\\\n" in token.content
        content = nest(self._nodes(token.children or [], "\\\n" if has_slashes else "  \n"))
        self.contents.append(content)
        return len(self.contents) - 1

    def _nodes(self, tokens: Sequence[Token], hard_break: str) -> Iterator[Inline | Tag]:
        """Yield text, atoms and tags."""
        link: list[tuple[_Parts, _Parts]] = []
        closing = ""  # end tag of the HTML element that is not translated
        kept: list[str] = []
        is_alert = False
        for token in _without_autolinks(tokens):
            if closing:
                kept.append(_source(token))
                if token.type == "html_inline" and token.content.lower().startswith(closing):
                    yield Atom(("".join(kept),))
                    closing = ""
            elif token.type == "text":
                yield from _with_marks(token.content)
                is_alert = token.content.startswith("[!")
                continue
            elif token.type == "softbreak":
                yield Atom(("\n",), is_break=True) if is_alert else " "
            elif token.type == "hardbreak":
                yield Atom((hard_break,), is_break=True)
            elif token.type == "code_inline":
                yield Atom((_source(token),), text=token.content)
            elif token.type == "image":
                opening, end = self._link(token, str(token.attrs.get("src", "")))
                yield Atom(("!", *opening, *self._value(token.content), *end))
            elif token.type == "link_open":
                link.append(self._link(token, str(token.attrs.get("href", ""))))
                yield Tag("link", False, link[-1][0])
            elif token.type == "link_close":
                yield Tag("link", True, link.pop()[1])
            elif token.type == "autolink":
                yield Atom((token.content,))
            elif token.type == "html_inline":
                tag = _TAG.match(token.content)
                name = tag["name"].lower() if tag else ""
                if name in _CODE_TAGS and tag and not tag["slash"]:
                    closing, kept = f"</{name}", [token.content]
                elif not tag or token.content.endswith("/>") or name in ("br", "img", "wbr", "input"):
                    yield Atom((token.content,), is_break=name == "br")
                else:
                    yield Tag(name, bool(tag["slash"]), (token.content,))
            elif token.type.endswith(("_open", "_close")):
                yield Tag(token.type.rpartition("_")[0], token.type.endswith("_close"), (token.markup,))
            is_alert = False
        if closing:
            yield Atom(("".join(kept),))

    def _link(self, token: Token, target: str) -> tuple[_Parts, _Parts]:
        """Return the marks before and after the text of a link or picture."""
        label = token.meta.get("label")
        if label is not None:
            return ("[",), (f"][{self._labels.get(label, label)}]",)
        if re.search(r"[\s<>]|^$", target) or target.count("(") != target.count(")"):
            escaped = re.sub(r"([<>])", r"\\\1", target)
            target = f"<{escaped}>" if target else ""
        title = token.attrs.get("title")
        if not title:
            return ("[",), (f"]({target})",)
        return ("[",), (f']({target} "', *self._value(str(title)), '")')

    def _value(self, text: str) -> _Parts:
        if not is_translatable((text,)):
            return (text.replace('"', '\\"'),)
        self.contents.append((text,))
        return (_Value(len(self.contents) - 1),)


def _without_autolinks(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield the tokens, with one of HTML for each address between `<` and `>`."""
    is_inside = False
    for token in tokens:
        if token.markup == "autolink":
            is_inside = token.type == "link_open"
        elif is_inside:
            yield Token("autolink", "", 0, content=f"<{token.content}>")
        else:
            yield token


def _with_marks(text: str) -> Iterator[Inline]:
    """Yield text and the marks in it that are not text."""
    place = 0
    for match in _KEPT.finditer(text):
        yield from (text[place : match.start()], Atom((match[0],)))
        place = match.end()
    yield text[place:]


def _source(token: Token) -> str:
    """Return the Markdown of a token without children."""
    if token.type == "code_inline":
        content = token.content
        is_padded = content[:1] == "`" or content[-1:] == "`" or (content != content.strip() and content.strip())
        pad = " " if is_padded else ""
        return f"{token.markup}{pad}{content}{pad}{token.markup}"
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return token.content or token.markup


def write_inline(content: Content, contents: Sequence[Content], *, is_escaped: bool = False) -> str:
    """Return the Markdown of a content.

    Args:
        content: the content.
        contents: all contents, which marks refer to.
        is_escaped: escape all punctuation marks, and mark emphasis by asterisks. Otherwise only what is special in
            most places is escaped.
    """
    written = ""
    for node in content:
        if isinstance(node, str):
            pattern = rf"[{re.escape(punctuation)}]" if is_escaped else _SPECIAL
            written += re.sub(pattern, lambda match: "\\" + match[0], node)
        elif isinstance(node, Atom):
            written += _join(node.mark, contents)
        else:
            opening, closing = (_join(parts, contents) for parts in node.mark)
            inner = write_inline(node.content, contents, is_escaped=is_escaped)
            if opening.startswith("["):
                written = re.sub(r"(?<!\\)!\Z", r"\\!", written)  # would make the link a picture
            elif not inner.strip() and opening in ("*", "_", "**", "__", "~~"):
                opening = closing = ""
            if is_escaped:
                opening, closing = (re.sub(r"\A_+\Z", "*" * len(mark), mark) for mark in (opening, closing))
            written += f"{opening}{inner}{closing}"
    return written


def _join(parts: _Parts, contents: Sequence[Content]) -> str:
    return "".join(
        part if isinstance(part, str) else _value(plain_text(contents[part.number]), parts) for part in parts
    )


def _value(text: str, parts: _Parts) -> str:
    """Return an alternative text or a title."""
    if parts[0] == "!":
        return re.sub(r"([\\\[\]`*_<])", r"\\\1", text)
    return text.replace("\\", "\\\\").replace('"', '\\"')


def shape(content: Content) -> Any:
    """Return a value that is equal for contents with the same text and marks, whatever the values in marks."""
    nodes: list[Any] = []
    for node in merge_text(content):
        if isinstance(node, str):
            nodes.append(" ".join(node.split()))
        elif isinstance(node, Atom):
            nodes.append(_plain_parts(node.mark))
        elif node.content or not set(_plain_parts(node.mark[0])) <= set("*_~"):
            marks = tuple(_plain_parts(parts).replace("_", "*") for parts in node.mark)
            nodes.append((*marks, shape(node.content)))
    return tuple(node for node in nodes if node)


def _plain_parts(parts: _Parts) -> str:
    return "".join(part for part in parts if isinstance(part, str))
