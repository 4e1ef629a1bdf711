"""The formats of documents, by the suffixes of their names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from translator.documents.errors import DocumentError
from translator.documents.inline import Content

# Module and class of each format. A module is imported only if it is chosen: most need a library of the extra.
_FORMATS = {
    ".docx": ("wordprocessing", "WordDocument"),
    ".odt": ("opendocument", "OpenDocument"),
    ".html": ("html", "HtmlDocument"),
    ".htm": ("html", "HtmlDocument"),
    ".xhtml": ("html", "HtmlDocument"),
    ".md": ("markdown", "MarkdownDocument"),
    ".markdown": ("markdown", "MarkdownDocument"),
    ".srt": ("subtitles", "Subtitles"),
    ".po": ("catalog", "Catalog"),
    ".pot": ("catalog", "Catalog"),
    ".txt": ("text_files", "PlainText"),
}
SUFFIXES = tuple(_FORMATS)
BINARY_SUFFIXES = (".docx", ".odt")


class TranslatableDocument(Protocol):
    """A document whose texts can be replaced."""

    @property
    def contents(self) -> Sequence[Content]:
        """The texts to translate, with their inline markup."""
        ...

    def write(self, contents: Sequence[Content]) -> bytes:
        """Return the content of the file with other texts, one for each of `contents`."""
        ...


def suffix_of(name: str | Path) -> str:
    """Return the suffix of a document, in lowercase.

    Raises:
        DocumentError: if it is not one of `SUFFIXES`.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in _FORMATS:
        raise DocumentError(f"The name of a document must end with {_listed(SUFFIXES)}. Received: {name}.")
    return suffix


def require_same_format(name: str | Path, suffix: str) -> None:
    """Raise DocumentError if the suffix of an output is that of another format. An output without one is accepted."""
    own = Path(name).suffix.lower()
    alike = [other for other, place in _FORMATS.items() if place == _FORMATS[suffix]]
    if own and own not in alike:
        raise DocumentError(f"The output of a {suffix} document must end with {_listed(alike)}. Received: {name}.")


def read_document(data: bytes, suffix: str) -> TranslatableDocument:
    """Read a document.

    Args:
        data: content of the file.
        suffix: one of `SUFFIXES`.

    Raises:
        DocumentError: if it cannot be read, or a library of the extra `documents` is not installed.
    """
    module, name = _FORMATS[suffix]
    try:
        found = getattr(import_module(f"translator.documents.{module}"), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise DocumentError(
            f"The {suffix} document requires {package}, which is not installed. "
            "Run `pip install 'translator[documents]'`, or install it."
        ) from error
    return cast(TranslatableDocument, found(data))


def _listed(suffixes: Sequence[str]) -> str:
    *first, last = suffixes
    return f"{', '.join(first)} or {last}" if first else last
