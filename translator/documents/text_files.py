"""Text files: decoding, and plain text as a document."""

from __future__ import annotations

import io
from collections.abc import Sequence

from translator.documents.errors import DocumentError
from translator.documents.inline import Content, plain_text
from translator.file_input import utf8_stream
from translator.inference.document import Document
from translator.inference.texts import clean


def decode_text(data: bytes, fallback: str = "") -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with a byte order mark; plain or compressed.

    Args:
        data: content of the file.
        fallback: encoding of a file that is not UTF-8. Without one, bytes that are not UTF-8 become lone surrogates.

    Raises:
        DocumentError: if the file is not text.
    """
    try:
        content = utf8_stream(io.BytesIO(data)).read()  # type: ignore[arg-type]
    except OSError as error:
        raise DocumentError(f"The document must be text. Received: {error.strerror}.") from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode(fallback, "replace") if fallback else content.decode("utf-8", "surrogateescape")


class PlainText:
    """A plain-text document; see `Document`.

    Args:
        data: content of the file.

    Raises:
        DocumentError: if the file is not text.
    """

    def __init__(self, data: bytes) -> None:
        self._document = Document.read(decode_text(data))

    @property
    def contents(self) -> list[Content]:
        """The paragraphs, items and other lines with text."""
        return [(text,) for text in self._document.texts]

    def write(self, contents: Sequence[Content]) -> bytes:
        """Return the document with other texts, in UTF-8."""
        return clean(self._document.write(map(plain_text, contents))).encode()
