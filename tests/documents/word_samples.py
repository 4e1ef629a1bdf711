"""A .docx document with what word processors write, made with python-docx and raw XML."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

FOOTNOTES = (
    f"<w:footnotes {nsdecls('w')}>"
    '<w:footnote w:id="-1" w:type="separator"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
    '<w:footnote w:id="1"><w:p><w:r><w:footnoteRef/></w:r>'
    '<w:r><w:t xml:space="preserve"> Elle est petite.</w:t></w:r></w:p></w:footnote></w:footnotes>'
)
TEXT_BOX = (
    f'<w:r {nsdecls("w")}><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textbox>'
    "<w:txbxContent><w:p><w:r><w:t>Il fait froid.</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict>"
    "</w:r>"
)


def picture() -> io.BytesIO:
    """Return a PNG file of one pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def word_document() -> bytes:
    """Return the document."""
    document = docx.Document()
    document.add_heading("La maison de ma mère", 1)
    paragraph = document.add_paragraph("Le ")
    paragraph.add_run("chat noir").bold = True
    paragraph.add_run(" dort sur le lit.")
    document.add_paragraph("Du pain", style="List Bullet")
    document.add_paragraph("Du lait", style="List Bullet")
    document.add_paragraph("Elle a perdu ses clés.", style="List Number")
    table = document.add_table(2, 2)
    for cell, text in zip(table._cells, ["Le chien", "12,50 €", "La voiture est rouge.", ""], strict=True):
        cell.text = text
    _add_link(document, "Voici ", "la page", " de mon frère.")
    document.add_paragraph("Une photo : ").add_run().add_picture(picture())
    _add_edited(document)
    _add_fields(document)
    _add_footnote(document)
    document.add_paragraph("Nom :\tPierre")._p.append(parse_xml(TEXT_BOX))
    document.sections[0].header.paragraphs[0].text = "Où est la gare ?"
    document.sections[0].footer.paragraphs[0].text = "Merci beaucoup."
    return saved(document)


def saved(document: Any) -> bytes:
    """Return the content of the file of a document."""
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def add_xml(document: Any, *elements: str) -> None:
    """Add a paragraph of elements."""
    paragraph = document.add_paragraph()
    for xml in elements:
        paragraph._p.append(parse_xml(re.sub(r"^<w:\w+", rf"\g<0> {nsdecls('w', 'r')}", xml)))


def run(text: str, properties: str = "") -> str:
    """Return a run as XML."""
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def field(instruction: str, result: str) -> list[str]:
    """Return the runs of a complex field."""
    inner = (
        '<w:fldChar w:fldCharType="begin"/>',
        f'<w:instrText xml:space="preserve"> {instruction} </w:instrText>',
        '<w:fldChar w:fldCharType="separate"/>',
        f"<w:t>{result}</w:t>",
        '<w:fldChar w:fldCharType="end"/>',
    )
    return [f"<w:r>{xml}</w:r>" for xml in inner]


def _add_link(document: Any, before: str, text: str, after: str) -> None:
    identity = document.part.relate_to("http://exemple.fr/", RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
    blue = run(text, '<w:color w:val="0000FF"/>')
    link = f'<w:hyperlink r:id="{identity}">{blue}</w:hyperlink>'
    add_xml(document, run(before), link, run(after))


def _add_edited(document: Any) -> None:
    """Add a sentence in several runs, as after edits, with an insertion, a deletion and a bookmark."""
    add_xml(
        document,
        '<w:bookmarkStart w:id="0" w:name="ici"/>',
        '<w:r w:rsidR="00A1"><w:t xml:space="preserve">Je suis </w:t></w:r>',
        '<w:proofErr w:type="spellStart"/>',
        run("all", '<w:lang w:val="fr-FR"/>'),
        '<w:r w:rsidR="00A3"><w:t>é</w:t></w:r>',
        '<w:proofErr w:type="spellEnd"/>',
        f'<w:ins w:id="5" w:author="x">{run(" hier")}</w:ins>',
        '<w:del w:id="6" w:author="x"><w:r><w:delText xml:space="preserve"> demain</w:delText></w:r></w:del>',
        run(" au marché."),
        '<w:bookmarkEnd w:id="0"/>',
    )


def _add_fields(document: Any) -> None:
    """Add a page number, and a hyperlink as a complex field."""
    link = field('HYPERLINK "http://a.b/"', "de mon ami")
    add_xml(document, run("Regardez la page "), *field("PAGE", "3"), run(" "), *link, run(" demain."))


def _add_footnote(document: Any) -> None:
    add_xml(document, run("J'ai une maison"), '<w:r><w:footnoteReference w:id="1"/></w:r>', run(" à la mer."))
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    part = Part(PackURI("/word/footnotes.xml"), kind, FOOTNOTES.encode(), document.part.package)
    document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
