from __future__ import annotations

import sys
from pathlib import Path

import pytest

from translator.documents.errors import DocumentError
from translator.documents.formats import SUFFIXES, read_document, require_same_format, suffix_of


@pytest.mark.parametrize("name", ["a.docx", "A.DOCX", "b/c.tar.docx", Path("a.docx")])
def test_the_suffix_decides_the_format(name: str | Path) -> None:
    assert suffix_of(name) == ".docx"


@pytest.mark.parametrize("name", ["a.pdf", "a", ".docx", "a.docx.bak"])
def test_other_suffixes_are_refused_with_the_list(name: str) -> None:
    with pytest.raises(DocumentError, match=rf"must end with \.docx, .* or \.txt\. Received: {name}\."):
        suffix_of(name)


def test_the_output_has_the_same_format_or_no_suffix() -> None:
    for name, suffix in (
        ("b.docx", ".docx"),
        ("b", ".docx"),
        ("b.HTM", ".html"),
        ("en.po", ".pot"),
        ("/dev/fd/3", ".odt"),
    ):
        require_same_format(name, suffix)
    with pytest.raises(
        DocumentError, match=r"The output of a \.docx document must end with \.docx\. Received: b\.odt\."
    ):
        require_same_format("b.odt", ".docx")
    with pytest.raises(DocumentError, match=r"must end with \.html, \.htm or \.xhtml\. Received: b\.txt\."):
        require_same_format("b.txt", ".htm")


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix not in (".docx", ".odt")])
def test_an_empty_text_file_is_a_document_without_text(suffix: str) -> None:
    assert list(read_document(b"", suffix).contents) == []


@pytest.mark.parametrize(
    ("suffix", "package"),
    [(".docx", "lxml"), (".odt", "lxml"), (".md", "markdown_it"), (".srt", "srt"), (".po", "polib")],
)
def test_a_missing_extra_is_named(suffix: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == package or name.startswith("translator.documents."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    message = (
        rf"The {suffix} document requires {package}, which is not installed\. Run `pip install 'translator\[documents"
    )
    with pytest.raises(DocumentError, match=message):
        read_document(b"", suffix)


@pytest.mark.parametrize("suffix", [".html", ".txt"])
def test_some_formats_need_no_extra(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith("translator.documents."):
            monkeypatch.delitem(sys.modules, name)
    for package in ("lxml", "markdown_it", "srt", "polib"):
        monkeypatch.setitem(sys.modules, package, None)
    assert read_document(b"un", suffix).write([("one",)]) == b"one"
