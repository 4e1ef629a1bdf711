from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import docx
import pytest
from changes import reversed_words, rewritten
from word_samples import saved, word_document

from translator import Translator
from translator.documents.errors import DocumentError
from translator.documents.formats import read_document
from translator.documents.translation import translate_contents
from translator.documents.wordprocessing import WordDocument

TAGS = ("p", "tbl", "tc", "hyperlink", "drawing", "pict", "footnoteReference", "bookmarkStart", "bookmarkEnd", "ins",
        "del", "fldChar", "instrText", "tab", "sectPr", "headerReference")  # fmt: skip


def opened(data: bytes) -> Any:
    return docx.Document(io.BytesIO(data))


def counts(data: bytes) -> dict[str, int]:
    xml = opened(data).element.xml
    return {tag: len(re.findall(rf"<w:{tag}[ />]", xml)) for tag in TAGS}


def parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_document_has_as_many_objects_after_translation(french_to_english: Translator) -> None:
    before = word_document()
    after = translate_contents(french_to_english, read_document(before, ".docx"))
    assert counts(after) == counts(before)
    assert min(counts(after).values()) > 0
    document = opened(after)
    styles = [paragraph.style.name for paragraph in document.paragraphs]
    assert styles == [paragraph.style.name for paragraph in opened(before).paragraphs]
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert texts[:2] == ["My mother's house", "The black cat sleeps on the bed."]
    assert texts[9] == "I have a house at the sea."
    cells = [cell.text for cell in document.tables[0]._cells]
    assert cells == ["The dog", "12,50 €", "The car is red.", ""]


def test_bold_and_links_are_on_the_aligned_words(french_to_english: Translator) -> None:
    document = opened(translate_contents(french_to_english, WordDocument(word_document())))
    assert [run.text for run in document.paragraphs[1].runs if run.bold] == ["black cat"]
    [link] = document.element.xpath("//w:hyperlink")
    assert "page" in "".join(link.itertext())
    [color] = link.xpath(".//w:color/@w:val")
    assert color == "0000FF"


def test_headers_footers_footnotes_and_text_boxes_are_translated(french_to_english: Translator) -> None:
    data = translate_contents(french_to_english, WordDocument(word_document()))
    document = opened(data)
    assert document.sections[0].header.paragraphs[0].text == "Where is the station?"
    assert document.sections[0].footer.paragraphs[0].text.startswith("Thank")
    assert b"> She is small.<" in parts(data)["word/footnotes.xml"]
    assert "".join(document.element.xpath("string(//w:txbxContent)")) == "It's cold."


def test_runs_of_one_sentence_are_one_text() -> None:
    paragraphs = opened(rewritten(WordDocument(word_document()))).paragraphs
    texts = ["".join(paragraph._p.xpath(".//w:t/text()")) for paragraph in paragraphs]
    assert texts[7] == "JE SUIS ALLÉ HIER AU MARCHÉ."
    assert texts[8] == "REGARDEZ LA PAGE 3 DE MON AMI DEMAIN."
    assert paragraphs[10].text == "NOM :\tPIERRE"


@pytest.mark.parametrize("change", [lambda content: content, reversed_words])
def test_objects_are_kept_in_any_order_of_words(change: Any) -> None:
    before = word_document()
    after = rewritten(WordDocument(before), change)
    assert counts(after) == counts(before)
    xml = opened(after).element.xml
    assert xml.index("w:bookmarkStart ") < xml.index("w:bookmarkEnd ")
    kinds = re.findall(r'w:fldCharType="(\w+)"', xml)
    assert kinds == ["begin", "separate", "end"] * 2


def test_entries_that_are_not_translated_keep_their_bytes_and_order() -> None:
    before, after = parts(word_document()), parts(rewritten(WordDocument(word_document())))
    assert list(before) == list(after)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"word/document.xml", "word/header1.xml", "word/footer1.xml", "word/footnotes.xml"}


def test_an_unchanged_document_has_the_same_text() -> None:
    before = word_document()
    after = rewritten(WordDocument(before), lambda content: content)
    assert [each.text for each in opened(after).paragraphs] == [each.text for each in opened(before).paragraphs]


def test_a_document_without_text_is_kept() -> None:
    assert opened(rewritten(WordDocument(saved(docx.Document())))).paragraphs == []


def test_documents_of_other_kinds_are_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            '<Types><!-- x --><Override PartName="/x.xml" ContentType="spreadsheetml.sheet.main+xml"/></Types>',
        )
    with pytest.raises(DocumentError, match=r"The \.docx file must hold a text document"):
        WordDocument(buffer.getvalue())
