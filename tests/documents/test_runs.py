from __future__ import annotations

from typing import Any

import docx
import pytest
from changes import in_capitals, outline
from word_samples import add_xml, field, run

from translator.documents.inline import change_texts
from translator.documents.runs import Paragraph, word_name

BOLD = "<w:b/>"
BOX = '<w:sdtPr><w:alias w:val="x"/></w:sdtPr>'


def read(*elements: str) -> tuple[Any, Paragraph]:
    document = docx.Document()
    add_xml(document, *elements)
    paragraph = document.paragraphs[-1]
    return paragraph, Paragraph(paragraph._p)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ([run("Le "), run("chat", BOLD), run(" dort.")], "Le [chat] dort."),
        ([run("Le", BOLD), run(" ", ""), run("chat", BOLD), run(" dort.")], "[Le chat] dort."),
        ([run("Tout", BOLD), run(" gras", BOLD)], "Tout gras"),
        ([run("Un mot", BOLD), run(" de plus, long", "<w:sz w:val='30'/>")], "[Un mot] de plus, long"),
        ([run("Un", "<w:sz w:val='30'/>"), run(" mot plus long")], "[Un] mot plus long"),
        ([run("a"), run("b", '<w:lang w:val="fr"/>'), run("c", "<w:noProof/>")], "abc"),
        ([run("a"), "<w:r><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>"], "a|b|c"),
        (["<w:r><w:t>porte</w:t><w:noBreakHyphen/><w:t>clé</w:t><w:softHyphen/></w:r>"], "porte-clé"),
        ([run("Voir "), *field("PAGE", "3"), run(".")], "Voir *."),
        ([run("Voir "), *field('hyperlink "x"', "ici"), run(".")], "Voir [ici]."),
        ([run("Voir "), *field("PAGE", "3")[:3], run("Titre")], "Voir |||Titre"),
        ([*field("PAGE", "3")[-1:], run("fin")], "|fin"),
        ([run("a "), *field("IF", "")[:2], *field("REF x", "b"), *field("", "")[2:], run(" c")], "a * c"),
        ([f'<w:fldSimple w:instr=" HYPERLINK x ">{run("ici")}</w:fldSimple>', run(" là")], "[ici] là"),
        ([f'<w:fldSimple w:instr=" PAGE ">{run("3")}</w:fldSimple>', run(" là")], "* là"),
        ([f"<w:sdt>{BOX}<w:sdtContent>{run('libre')}</w:sdtContent></w:sdt>", run(" là")], "[libre] là"),
        ([f"<w:sdt><w:sdtPr><w:date/></w:sdtPr><w:sdtContent>{run('hier')}</w:sdtContent></w:sdt>"], "*"),
        ([f'<w:smartTag w:element="x"><w:smartTagPr/>{run("Paris")}</w:smartTag>', run(" dort")], "[Paris] dort"),
        (['<w:del w:id="1"><w:r><w:delText>a</w:delText></w:r></w:del>', run("b")], "*b"),
        (['<w:bookmarkStart w:id="1"/>', run("a"), '<w:bookmarkEnd w:id="1"/>', run("b")], "[a]b"),
        (['<w:bookmarkStart w:id="1"/>', '<w:bookmarkEnd w:id="1"/>', run("b")], "[]b"),
        ([run("a"), '<w:commentRangeStart w:id="1"/>', run("b")], "a*b"),
        ([], ""),
    ],
)
def test_elements_are_text_spans_atoms_or_breaks(elements: list[str], expected: str) -> None:
    _, paragraph = read(*elements)
    assert outline(paragraph.content) == expected


def test_what_is_written_has_the_same_elements_and_properties() -> None:
    elements = [
        run("Le ", '<w:sz w:val="30"/>'),
        run("chat", BOLD),
        f'<w:smartTag w:element="x"><w:smartTagPr/>{run("noir")}</w:smartTag>',
        f"<w:sdt>{BOX}<w:sdtContent>{run('et', BOLD)}</w:sdtContent></w:sdt>",
        *field('HYPERLINK "x"', "là"),
        "<w:r><w:rPr><w:i/></w:rPr><w:sym w:char='F04A'/></w:r>",
        run(" ici", '<w:sz w:val="30"/>'),
    ]
    element, paragraph = read(*elements)
    paragraph.write(change_texts(paragraph.content, in_capitals))
    assert outline(Paragraph(element._p).content) == "LE [CHAT][NOIR][ET][LÀ]* ICI"
    assert [text.text for text in element._p.xpath(".//w:t[../w:rPr/w:b]")] == ["CHAT", "ET"]
    assert element._p.xpath("string(.//w:r[w:rPr/w:sz])") == "LE "
    assert [word_name(child) for child in element._p.xpath("./w:smartTag/*")] == ["smartTagPr", "r"]
    assert element._p.xpath("count(.//w:sym[../w:rPr/w:i])") == 1
    assert element._p.xpath("count(./w:sdt/w:sdtPr)") == 1
    assert not element._p.xpath(".//w:t[not(@xml:space='preserve')]")  # else Word drops the spaces between runs


def test_nested_fields_and_links_inside_fields_are_kept_whole() -> None:
    inner = [*field('HYPERLINK "x"', "là"), f'<w:smartTag w:element="x">{run("Paris")}</w:smartTag>']
    outer = field("IF x", "")
    element, paragraph = read(run("a "), *outer[:2], *inner, *outer[2:], run(" b"))
    assert outline(paragraph.content) == "a * b"
    before = [child.tag for child in element._p.iter() if word_name(child) in ("fldChar", "instrText", "t")]
    paragraph.write(paragraph.content)
    assert [child.tag for child in element._p.iter() if word_name(child) in ("fldChar", "instrText", "t")] == before


def test_very_deep_nesting_is_kept() -> None:
    smart, end = '<w:smartTag w:element="x">', "</w:smartTag>"
    element, paragraph = read(smart * 200 + run("un") + end * 200, run("deux"))
    assert outline(paragraph.content) == "[" * 40 + "*" + "]" * 40 + "deux"
    paragraph.write(paragraph.content)
    assert element._p.xpath("string(.)") == "undeux"


def test_names_outside_wordprocessing_are_empty() -> None:
    element, _ = read("<w:r><w:t>a</w:t></w:r>")
    assert word_name(element._p) == "p"
    comment = docx.oxml.parse_xml("<a><!-- x --></a>")
    assert (word_name(comment), word_name(comment[0])) == ("", "")
