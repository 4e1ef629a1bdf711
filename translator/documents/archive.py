"""Documents that are ZIP archives of XML files: Office Open XML and OpenDocument.

Only the XML files that are translated are written anew. Every other entry keeps its bytes, and all keep their order.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping

from lxml import etree

from translator.documents.errors import DocumentError
from translator.errors import shorten

_MAX_BYTES = 1 << 31  # of all entries, uncompressed
_MAX_XML_BYTES = 1 << 28  # of one XML file
_OLE_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of older Office documents, and of encrypted new ones
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # name of the stream that holds an encrypted document
_ENCRYPTED = 0x1  # flag of an entry


class Archive:
    """The entries of a ZIP archive.

    Args:
        data: content of the file.
        suffix: suffix of the format, for messages.

    Raises:
        DocumentError: if it is not an archive, or damaged, encrypted or too large.
    """

    def __init__(self, data: bytes, suffix: str) -> None:
        self._suffix = suffix
        if data.startswith(_OLE_SIGNATURE):
            received = "an encrypted document" if _OLE_ENCRYPTED in data else "an older Office document"
            advice = "Remove its password" if _OLE_ENCRYPTED in data else f"Save it as {suffix}"
            raise DocumentError(f"The {suffix} file must be a ZIP archive. Received: {received}. {advice} first.")
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = archive.infolist()
                if any(entry.flag_bits & _ENCRYPTED for entry in entries):
                    raise DocumentError(f"The {suffix} file must not be encrypted. Remove its password first.")
                size = sum(entry.file_size for entry in entries)
                if size > _MAX_BYTES:
                    raise DocumentError(
                        f"The {suffix} file must hold at most {_MAX_BYTES:,} bytes uncompressed. Received: {size:,}."
                    )
                self._entries = [(entry, archive.read(entry)) for entry in entries]
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
            if isinstance(error, DocumentError):
                raise
            raise DocumentError(
                f"The {suffix} file must be a complete ZIP archive. Received: damaged or other data ({error})."
            ) from error
        self._contents = {entry.filename: content for entry, content in self._entries}

    def __contains__(self, name: str) -> bool:
        return name in self._contents

    def __getitem__(self, name: str) -> bytes:
        return self._contents[name]

    def xml(self, name: str) -> etree._Element:
        """Return the root of an XML file.

        Raises:
            DocumentError: if the archive does not have it, or it is not well-formed or too large.
        """
        content = self._contents.get(name)
        if content is None:
            raise DocumentError(f"The {self._suffix} file must contain {name}. It is missing: this is another format.")
        if len(content) > _MAX_XML_BYTES:
            raise DocumentError(
                f"{name} in the {self._suffix} file must have at most {_MAX_XML_BYTES:,} bytes. "
                f"Received: {len(content):,} bytes."
            )
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
        try:
            return etree.fromstring(content, parser)
        except etree.XMLSyntaxError as error:
            raise DocumentError(f"{name} must be well-formed XML. Received: {shorten(str(error))}.") from error

    def write(self, changed: Mapping[str, etree._Element]) -> bytes:
        """Return the archive with some XML files replaced."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for entry, content in self._entries:
                root = changed.get(entry.filename)
                if root is not None:
                    content = etree.tostring(
                        root.getroottree(), xml_declaration=True, encoding="UTF-8", standalone=True
                    )
                archive.writestr(entry, content)
        return buffer.getvalue()
