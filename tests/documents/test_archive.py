from __future__ import annotations

import io
import zipfile

import pytest

from translator.documents import archive as archive_module
from translator.documents.archive import Archive
from translator.documents.errors import DocumentError


def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_only_changed_entries_are_written_anew() -> None:
    data = zipped({"mimetype": b"x", "b.xml": b"<b>\xc3\xa9</b>", "a.bin": bytes(range(256))})
    archive = Archive(data, ".odt")
    root = archive.xml("b.xml")
    root.text = "è"
    with zipfile.ZipFile(io.BytesIO(archive.write({"b.xml": root}))) as written:
        assert written.namelist() == ["mimetype", "b.xml", "a.bin"]
        assert written.read("a.bin") == bytes(range(256))
        assert written.read("b.xml").decode().endswith("<b>è</b>")
        assert [entry.date_time for entry in written.infolist()] == [
            entry.date_time for entry in zipfile.ZipFile(io.BytesIO(data)).infolist()
        ]


def test_an_entry_that_is_not_compressed_stays_so() -> None:
    data = zipped({"mimetype": b"x" * 100}, zipfile.ZIP_STORED)
    with zipfile.ZipFile(io.BytesIO(Archive(data, ".odt").write({}))) as written:
        assert written.getinfo("mimetype").compress_type == zipfile.ZIP_STORED


def damaged(data: bytes) -> bytes:
    middle = data.index(b"word/document.xml") + 40
    return data[:middle] + b"\xff" * 20 + data[middle + 20 :]


def encrypted(data: bytes) -> bytes:
    """Return an archive with the flag of encryption set in its directory."""
    place = data.index(b"PK\x01\x02") + 8
    return data[:place] + b"\x01" + data[place + 1 :]


GOOD = zipped({"word/document.xml": b"<a>" + b"text " * 200 + b"</a>"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"must be a complete ZIP archive. Received: damaged or other data"),
        (b"Bonjour.", r"must be a complete ZIP archive"),
        (GOOD[: len(GOOD) // 2], r"must be a complete ZIP archive"),
        (damaged(GOOD), r"must be a complete ZIP archive"),
        (encrypted(GOOD), r"The \.docx file must not be encrypted. Remove its password first."),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
            "Received: an older Office document. Save it as .docx first",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "Received: an encrypted document. Remove its password first",
        ),
    ],
    # Not the bytes, which hold the time.
    ids=["empty", "text", "cut", "damaged", "encrypted", "older format", "older format, encrypted"],
)
def test_what_is_not_a_readable_archive_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        Archive(data, ".docx")


def test_archives_of_very_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "_MAX_XML_BYTES", 1000)
    with pytest.raises(DocumentError, match=r"word/document\.xml in the \.docx file must have at most 1,000 bytes"):
        Archive(GOOD, ".docx").xml("word/document.xml")
    monkeypatch.setattr(archive_module, "_MAX_BYTES", 1000)
    with pytest.raises(DocumentError, match=r"must hold at most 1,000 bytes uncompressed\. Received: 1,007"):
        Archive(GOOD, ".docx")


def test_xml_that_is_missing_or_not_well_formed_is_refused() -> None:
    archive = Archive(zipped({"a.xml": b"<a><b></a>"}), ".docx")
    with pytest.raises(DocumentError, match=r"must contain word/document\.xml\. It is missing"):
        archive.xml("word/document.xml")
    with pytest.raises(DocumentError, match=r"a\.xml must be well-formed XML\. Received: Opening and ending"):
        archive.xml("a.xml")


def test_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "yyyy">]><a>&x;&y;</a>'
    root = Archive(zipped({"a.xml": bomb}), ".odt").xml("a.xml")
    assert "".join(root.itertext(with_tail=False)) in ("", "&x;&y;")
    assert len(root) == 2
