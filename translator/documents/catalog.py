"""Message catalogs of gettext (.po): messages without a translation receive one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import polib

from translator.documents.errors import DocumentError
from translator.documents.inline import Atom, Content, Inline, Tag, nest, write_marks
from translator.documents.text_files import decode_text
from translator.errors import shorten
from translator.inference.document import Document
from translator.inference.texts import clean

_CHARSET = re.compile(rb"charset=([\w-]+)")
_NUM_PLURALS = re.compile(r"nplurals\s*=\s*(\d)")
# Placeholders of printf, Python, Ruby, shells and templates; entities; and tags of HTML.
_MARKUP = re.compile(
    r"%(?:\(\w+\)|\{\w+\}|<\w+>|\d+\$)?[-+#0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|L|z|j|t|q)?[diouxXeEfFgGcsSpn@](?![a-zà-ÿ])"
    r"|%\(\w+\)[-+#0 \d.]*[a-zA-Z]|%\{\w+\}|%%|%\d\b|\{\{.*?\}\}|\$?\{[^{}\s]*\}|&#?\w+;"
    r"|<(?P<slash>/?)(?P<name>[a-zA-Z][\w:-]*)[^<>]*>"
)


class Catalog:
    """A message catalog. Messages that have a translation, or are obsolete, are kept.

    Args:
        data: content of the file.

    Raises:
        DocumentError: if it is not in this format.
    """

    def __init__(self, data: bytes) -> None:
        declared = _CHARSET.search(data)
        self._encoding = declared[1].decode("ascii") if declared else "utf-8"
        try:
            text = data.decode(self._encoding)
        except (LookupError, UnicodeDecodeError):  # `charset=CHARSET` in a template
            text, self._encoding = decode_text(data), "utf-8"
        self._line_end = "\r\n" if "\r\n" in text else "\n"
        try:
            self._catalog = polib.pofile(text.removeprefix("\ufeff").replace("\r\n", "\n"))
        except (OSError, ValueError) as error:
            raise DocumentError(
                f"The .po file must be a message catalog of gettext. Received: {shorten(str(error))}."
            ) from error
        self._num_plurals = _num_plurals(self._catalog)
        self._messages = [
            (entry, is_plural, Document.read(text))
            for entry in self._catalog
            if entry.msgid and not entry.obsolete and not entry.msgstr and not any(entry.msgstr_plural.values())
            for is_plural, text in ((False, entry.msgid), (True, entry.msgid_plural))
            if text
        ]

    @property
    def contents(self) -> list[Content]:
        """The lines and paragraphs of the messages without a translation; of a message with a plural, both forms."""
        return [nest(_nodes(text)) for _, _, message in self._messages for text in message.texts]

    def write(self, contents: Sequence[Content]) -> bytes:
        """Return the catalog with translations, in its encoding, or UTF-8 if it does not have one."""
        following = iter(contents)
        for entry, is_plural, message in self._messages:
            text = message.write([write_marks(next(following)) for _ in message.texts])
            if not entry.msgid_plural:
                entry.msgstr = text
            elif not is_plural:
                entry.msgstr_plural = dict.fromkeys(range(self._num_plurals), text)
            else:
                first = 1 if self._num_plurals > 1 else 0
                entry.msgstr_plural |= dict.fromkeys(range(first, self._num_plurals), text)
        text = clean(f"{self._catalog}".replace("\n", self._line_end))
        try:
            return text.encode(self._encoding)
        except UnicodeEncodeError:
            return text.replace(f"charset={self._encoding}", "charset=UTF-8", 1).encode("utf-8")


def _num_plurals(catalog: polib.POFile) -> int:
    """Return the number of plural forms that the header declares; otherwise two."""
    declared = _NUM_PLURALS.search(catalog.metadata.get("Plural-Forms", ""))
    return max(1, int(declared[1])) if declared else 2


def _nodes(text: str) -> Iterator[Inline | Tag]:
    place = 0
    for match in _MARKUP.finditer(text):
        yield text[place : match.start()]
        place = match.end()
        if match["name"] and not match[0].endswith("/>") and match["name"].lower() not in ("br", "img", "hr"):
            yield Tag(match["name"], bool(match["slash"]), match[0])
        else:
            yield Atom(match[0], is_break=(match["name"] or "").lower() == "br", text="" if match["name"] else match[0])
    yield text[place:]
