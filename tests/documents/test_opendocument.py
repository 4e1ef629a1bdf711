from __future__ import annotations

import io
import zipfile
from typing import Any

import odfdo
import pytest
from changes import outline, reversed_words, rewritten
from word_samples import picture

from translator import Translator
from translator.documents.errors import DocumentError
from translator.documents.opendocument import OpenDocument
from translator.documents.translation import translate_contents

NAMESPACES = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" '
    'xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" '
    'xmlns:loext="urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0" '
    'xmlns:officeooo="http://openoffice.org/2009/office"'
)


def open_document() -> bytes:
    """Return a document with headings, a list, a table, a link, a note, a picture and a page number."""
    document = odfdo.Document("text")
    body = document.body
    body.clear()
    body.append(odfdo.Header(1, "La maison de ma mère"))
    paragraph = odfdo.Paragraph("Le ")
    paragraph.append(odfdo.Span("chat noir", style="Strong_20_Emphasis"))
    paragraph.append_plain_text(" dort sur le lit.")
    body.append(paragraph)
    body.append(odfdo.List(["Le pain", "Le lait"]))
    table = odfdo.Table("Tableau", width=2, height=1)
    table.set_value((0, 0), "Le chien")
    table.set_value((1, 0), 12.5)
    body.append(table)
    paragraph = odfdo.Paragraph("Voici ")
    paragraph.append(odfdo.Link("http://exemple.fr/", text="la page"))
    paragraph.append_plain_text(" de mon frère.")
    body.append(paragraph)
    paragraph = odfdo.Paragraph("J'ai une maison à la mer.")
    paragraph.insert_note(after="maison", note_id="n1", citation="1", body="Elle est petite.")
    body.append(paragraph)
    name = document.add_file(picture())
    paragraph = odfdo.Paragraph("")
    paragraph.append(odfdo.Frame.image_frame(name))
    body.append(paragraph)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def opened(data: bytes) -> Any:
    return odfdo.Document(io.BytesIO(data))


def counts(data: bytes) -> list[int]:
    body = opened(data).body
    return [
        len(found)
        for found in (
            body.paragraphs,
            body.headers,
            body.tables,
            body.get_links(),
            body.get_notes(),
            body.images,
            body.spans,
            body.get_elements("descendant::text:list-item"),
        )
    ]


def test_a_document_has_as_many_objects_after_translation(french_to_english: Translator) -> None:
    before = open_document()
    after = translate_contents(french_to_english, OpenDocument(before))
    assert counts(after) == counts(before)
    assert min(counts(after)) > 0
    body = opened(after).body
    assert body.headers[0].text == "My mother's house"
    [span] = body.spans
    assert span.text == "black cat" and body.paragraphs[0].text_recursive == "The black cat sleeps on the bed."
    [note] = body.get_notes()
    assert note.note_body.strip() == "She is small."
    assert body.tables[0].get_value((1, 0)) == 12.5


@pytest.mark.parametrize("change", [lambda content: content, reversed_words])
def test_objects_are_kept_in_any_order_of_words(change: Any) -> None:
    assert counts(rewritten(OpenDocument(open_document()), change)) == counts(open_document())


def test_the_type_stays_the_first_entry_without_compression() -> None:
    with zipfile.ZipFile(io.BytesIO(rewritten(OpenDocument(open_document())))) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)


def packed(body: str, styles: str = "", **entries: str) -> bytes:
    content = (
        f"<office:document-content {NAMESPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", entries.pop("mimetype", "application/vnd.oasis.opendocument.text"))
        archive.writestr("content.xml", content)
        for name, text in entries.items():
            archive.writestr(name, text)
    return buffer.getvalue()


EDITED = (
    '<style:style style:name="T1" style:family="text"><style:text-properties officeooo:rsid="001"/></style:style>'
    '<style:style style:name="T2" style:family="text"><style:text-properties fo:language="fr"/></style:style>'
    '<style:style style:name="T3" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>'
)


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ('<text:span text:style-name="T1">cha</text:span><text:span text:style-name="T2">t</text:span>', "chat"),
        ('Le <text:span text:style-name="T3">chat</text:span> dort.', "Le [chat] dort."),
        ("a<text:tab/>b<text:line-break/>c", "a|b|c"),
        ('a<text:s/>b<text:s text:c="5"/>c<text:soft-page-break/>d', "a b|cd"),
        ('<text:bookmark-start text:name="x"/>a<text:bookmark-end text:name="x"/> b<!-- c -->', "[a] b*"),
        ("a<text:page-number>1</text:page-number> <office:annotation><text:p>c</text:p></office:annotation>b", "a* *b"),
        ('<office:annotation office:name="1"/>a<office:annotation-end office:name="1"/>b', "[a]b"),
        ("a\n   b", "a b"),
    ],
)  # fmt: skip
def test_elements_are_text_spans_atoms_or_breaks(xml: str, expected: str) -> None:
    document = OpenDocument(packed(f"<text:p>{xml}</text:p>", EDITED))
    assert [outline(content) for content in document.contents] == [expected]
    again = OpenDocument(document.write(document.contents))
    assert [outline(content) for content in again.contents] == [expected]


def test_very_deep_nesting_is_kept() -> None:
    body = '<text:span text:style-name="T3">' * 200 + "un" + "</text:span>" * 200
    document = OpenDocument(packed(f"<text:p>{body} deux</text:p>", EDITED))
    assert [outline(content) for content in document.contents] == ["[" * 40 + "|" + "]" * 40 + " deux"]
    assert b">un<" in zipfile.ZipFile(io.BytesIO(rewritten(document))).read("content.xml")


def test_comments_and_deleted_text_are_not_translated() -> None:
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>effacé</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes><text:p>a<office:annotation><text:p>note</text:p></office:annotation>"
        "</text:p>"
    )
    document = OpenDocument(packed(body))
    assert [outline(content) for content in document.contents] == ["a*"]


def test_headers_are_read_from_the_styles() -> None:
    header = "<style:header><text:p>Titre</text:p></style:header>"
    styles = f"<office:document-styles {NAMESPACES}>{header}</office:document-styles>"
    data = packed("<text:p>a</text:p>", **{"styles.xml": styles})
    assert OpenDocument(data).contents == [("a",), ("Titre",)]
    with zipfile.ZipFile(io.BytesIO(rewritten(OpenDocument(data)))) as archive:
        assert b"TITRE" in archive.read("styles.xml")


def test_encrypted_documents_and_other_kinds_are_refused() -> None:
    manifest = (
        '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry>'
        "<m:encryption-data/></m:file-entry></m:manifest>"
    )
    with pytest.raises(DocumentError, match=r"The \.odt file must not be encrypted\. Remove its password first"):
        OpenDocument(packed("", **{"META-INF/manifest.xml": manifest}))
    with pytest.raises(DocumentError, match=r"The \.odt file must hold a text document"):
        OpenDocument(packed("", mimetype="application/vnd.oasis.opendocument.spreadsheet"))
