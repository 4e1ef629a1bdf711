from __future__ import annotations

from pathlib import Path

import pytest
from word_samples import word_document

from translator import Translator, translate_document
from translator.config import ConfigError
from translator.documents import translation
from translator.documents.errors import DocumentError
from translator.documents.formats import read_document
from translator.documents.translation import translate_contents
from translator.inference.results import Translation

PAGE = "<p>Le <b>chat noir</b> dort.</p><p>Il fait froid.</p><p>Voir https://a.fr/</p>"


def test_a_document_is_translated_into_a_new_file(french_to_english: Translator, tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(word_document())
    flags = translate_document(french_to_english, tmp_path / "a.docx", str(tmp_path / "b.docx"))
    assert flags["truncated"] == 0
    assert (tmp_path / "b.docx").read_bytes().startswith(b"PK")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.docx", "b.docx"]


def test_options_reach_the_translator(french_to_english: Translator, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE)
    translate_document(french_to_english, tmp_path / "a.html", tmp_path / "b.html", max_length_factor=0.01, beam_size=1)
    translate_document(french_to_english, tmp_path / "a.html", tmp_path / "c.html")
    assert (tmp_path / "c.html").read_text().startswith("<p>The <b>black cat</b>")
    with pytest.raises(ConfigError, match="beam_size"):
        translate_document(french_to_english, tmp_path / "a.html", tmp_path / "d.html", beam_size=0)
    assert not (tmp_path / "d.html").exists()


def test_windows_keep_the_order(french_to_english: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = translate_contents(french_to_english, read_document(PAGE.encode(), ".html"))
    monkeypatch.setattr(translation, "_WINDOW_TEXTS", 1)
    assert translate_contents(french_to_english, read_document(PAGE.encode(), ".html")) == whole


def test_flags_are_counted(french_to_english: Translator, tmp_path: Path) -> None:
    text = "<p>Il dort. Elle mange.</p><p>Il pleut. Il neige.</p><p>Oui.</p>"
    (tmp_path / "a.html").write_text(text)
    assert translate_document(french_to_english, tmp_path / "a.html", tmp_path / "b.html") == {"sentences": 2}


def test_each_translation_is_noted_in_order(french_to_english: Translator) -> None:
    noted: list[Translation] = []
    translate_contents(french_to_english, read_document(PAGE.encode(), ".html"), noted.append)
    assert [each.text.count("<") for each in noted] == [2, 0, 2]


def test_a_translation_has_a_period_at_its_end_only_if_the_text_has_one(french_to_english: Translator) -> None:
    text = "<h1>La maison rouge</h1><p>La maison rouge.</p>"
    [heading, paragraph] = translate_contents(french_to_english, read_document(text.encode(), ".html")).split(b"</h1>")
    assert not heading.endswith(b".") and paragraph.endswith(b".</p>")


def test_markup_requires_a_model_that_gives_alignment() -> None:
    ensemble = Translator.load("fr-en-tiny", "cpu", ensemble=["fr-en-tiny"])
    plain = translate_contents(ensemble, read_document(b"<p>Voir https://a.fr/</p>", ".html"))
    assert plain.startswith(b"<p>") and plain.endswith(b"</p>")
    message = "Inline markup in a document requires word alignment, which decoder-only models and ensembles do not give"
    with pytest.raises(DocumentError, match=message):
        translate_contents(ensemble, read_document(PAGE.encode(), ".html"))


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        (
            "none.docx",
            "b.docx",
            r"A document must be a readable file. Received: .*none.docx \(No such file or directory\)",
        ),
        ("folder.docx", "b.docx", r"A document must be a readable file. Received: .*folder.docx \(Is a directory\)"),
        ("a.html", "folder.html", r"The output must be a file. Received: .*folder.html, which is a directory"),
        ("a.html", "a.html", r"The output must not be the document that is read. Received: .*a.html"),
        (
            "a.html",
            "none/b.html",
            r"The output must be a writable file. Received: .*b.html \(No such file or directory\)",
        ),
        ("a.html", "b.odt", r"The output of a .html document must end with"),
        ("a.pdf", "b.pdf", r"The name of a document must end with"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    source: str, output: str, message: str, french_to_english: Translator, tmp_path: Path
) -> None:
    (tmp_path / "a.html").write_text("<p>Oui.</p>")
    (tmp_path / "folder.docx").mkdir()
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(DocumentError, match=message):
        translate_document(french_to_english, tmp_path / source, tmp_path / output)
    assert (tmp_path / "a.html").read_text() == "<p>Oui.</p>"
    assert len(list(tmp_path.iterdir())) == 3
