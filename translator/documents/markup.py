"""Text with inline markup as the XML that `Translator.translate_markup` takes, and the way back."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from translator.documents.inline import KEPT, Atom, Content, Inline, Span, merge_text, plain_text

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_WHITE_SPACE = re.compile(r"[ \t\n\r\f\v\x85\u2028\u2029]+")


class Markup:
    """A text as an XML fragment in which each span, atom and kept part of the text is an element with a number.

    Args:
        content: the text.
        has_alignment: False to translate addresses and fields like other text, and to leave out what is optional.

    Attributes:
        xml: the fragment.
        is_plain: True if it has no elements.
    """

    def __init__(self, content: Content, *, has_alignment: bool = True) -> None:
        self._has_alignment = has_alignment
        self._nodes: list[Inline] = []
        self.xml = self._write(content)
        self.is_plain = not self._nodes

    def read(self, xml: str) -> Content:
        """Return the content of a translated fragment, which must have the elements of this one."""
        return self._read(ElementTree.fromstring(f"<text>{xml}</text>"))

    def _write(self, content: Content) -> str:
        written = []
        for node in content:
            if isinstance(node, Span):
                written.append(f'<s id="{self._number(node)}">{self._write(node.content)}</s>')
            elif isinstance(node, Atom):
                if node.is_optional and not self._has_alignment:
                    continue
                written.append(self._kept(node, node.text))
            else:
                place = 0
                for part in KEPT.finditer(node) if self._has_alignment else ():
                    written += [_escaped(node[place : part.start()]), self._kept(part[0], part[0])]
                    place = part.end()
                written.append(_escaped(node[place:]))
        return "".join(written)

    def _kept(self, node: Inline, text: str) -> str:
        """Return an element that is not translated."""
        number = self._number(node)
        return f'<k id="{number}" translate="no">{_escaped(text)}</k>' if text else f'<k id="{number}"/>'

    def _number(self, node: Inline) -> int:
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _read(self, element: ElementTree.Element) -> Content:
        content: list[Inline] = [element.text or ""]
        for child in element:
            node = self._nodes[int(child.get("id", ""))]
            content.append(replace(node, content=self._read(child)) if isinstance(node, Span) else node)
            content.append(child.tail or "")
        return merge_text(tuple(content))


def _escaped(text: str) -> str:
    """Return text as XML, on one line. Characters that XML does not allow become U+FFFD."""
    return escape(_NOT_XML.sub("\ufffd", _WHITE_SPACE.sub(" ", text)))


def one_line(content: Content) -> str:
    """Return the text without markup, on one line."""
    return _WHITE_SPACE.sub(" ", plain_text(content))
