"""Office Open XML documents of word processors (.docx): paragraphs to inline content, and back.

ECMA-376, part 1, section 17. Adjacent runs that look the same are one text: word processors split runs at every edit,
and a sentence in parts would be translated badly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from translator.documents.archive import Archive
from translator.documents.errors import DocumentError
from translator.documents.inline import Content
from translator.documents.runs import Paragraph, word_name

_TYPES = "[Content_Types].xml"
_MAIN = re.compile(r"wordprocessingml\.(?:document|template)\.main\+xml$|word\.\w+\.macroEnabled\w*\.main\+xml$")
_OTHER_PARTS = re.compile(r"wordprocessingml\.(?:header|footer|footnotes|endnotes)\+xml$")


class WordDocument:
    """A .docx document: the text of its body, headers, footers, footnotes, endnotes and text boxes.

    Args:
        data: content of the file.

    Raises:
        DocumentError: if it cannot be read.
    """

    def __init__(self, data: bytes) -> None:
        self._archive = Archive(data, ".docx")
        types = {
            entry.get("PartName", "").lstrip("/"): entry.get("ContentType", "")
            for entry in self._archive.xml(_TYPES)
            if isinstance(entry.tag, str)
        }
        if not any(map(_MAIN.search, types.values())):
            raise DocumentError("The .docx file must hold a text document. Received: another kind of document.")
        names = [name for name, kind in types.items() if _MAIN.search(kind) or _OTHER_PARTS.search(kind)]
        self._roots = {name: self._archive.xml(name) for name in names}
        self._paragraphs = [
            Paragraph(element)
            for root in self._roots.values()
            for element in root.iter("{*}p")
            if word_name(element) == "p"
        ]

    @property
    def contents(self) -> list[Content]:
        """The content of each paragraph."""
        return [paragraph.content for paragraph in self._paragraphs]

    def write(self, contents: Sequence[Content]) -> bytes:
        """Return the document with other contents of its paragraphs."""
        for paragraph, content in zip(self._paragraphs, contents, strict=True):
            paragraph.write(content)
        return self._archive.write(self._roots)
