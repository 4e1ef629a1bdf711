from __future__ import annotations

import gzip

import pytest
from changes import rewritten

from translator.documents.errors import DocumentError
from translator.documents.text_files import PlainText, decode_text


@pytest.mark.parametrize(
    "data", ["été".encode(), "été".encode("utf-8-sig"), "été".encode("utf-16"), gzip.compress("été".encode())]
)
def test_text_is_read_in_any_unicode_encoding(data: bytes) -> None:
    assert decode_text(data) == "été"


def test_other_bytes_become_surrogates_or_are_read_in_another_encoding() -> None:
    assert decode_text(b"\xe9t\xe9") == "\udce9t\udce9"
    assert decode_text(b"\xe9t\xe9", "cp1252") == "été"


def test_binary_data_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"The document must be text\. Received: a ZIP archive"):
        decode_text(b"PK\x03\x04" + bytes(100))


def test_lists_and_line_ends_are_kept() -> None:
    text = "Titre\r\n\r\n- Du pain\r\n- 12 %\r\n"
    assert rewritten(PlainText(text.encode())).decode() == text.upper()
    assert rewritten(PlainText(b"\xff x")) == "\ufffd X".encode()
