from __future__ import annotations

from changes import outline

from translator.documents.inline import Atom, Span
from translator.documents.markup import Markup, one_line

CONTENT = ("Le ", Span("b", ("chat", Atom("img"))), " < a&b\n voir https://a.fr/ et ", Atom("code", text="x < y"), ".")


def test_markup_is_xml_with_a_number_for_each_element() -> None:
    markup = Markup(CONTENT)
    assert markup.xml == (
        'Le <s id="0">chat<k id="1"/></s> &lt; a&amp;b voir <k id="2" translate="no">https://a.fr/</k> et '
        '<k id="3" translate="no">x &lt; y</k>.'
    )
    assert not markup.is_plain


def test_what_was_written_is_read_again() -> None:
    markup = Markup(CONTENT)
    assert outline(markup.read(markup.xml)) == "Le [chat*] < a&b voir https://a.fr/ et *."


def test_elements_may_change_their_order() -> None:
    xml = '<k id="2" translate="no">x</k> the <k id="3"/> <s id="0"><k id="1"/> cat</s>'
    assert outline(Markup(CONTENT).read(xml)) == "https://a.fr/ the * [* cat]"


def test_text_without_elements_is_plain_and_loses_what_xml_cannot_hold() -> None:
    markup = Markup(("a & b \x01\ud800",))
    assert markup.is_plain and markup.xml == "a &amp; b \ufffd\ufffd"
    assert one_line(("a\n\t b", Atom("x"), "c")) == "a bc"


def test_without_alignment_addresses_are_text_and_optional_atoms_are_left_out() -> None:
    content = ("Voir www.a.fr", Atom("cut", is_optional=True), " ici")
    assert Markup(content, has_alignment=False).xml == "Voir www.a.fr ici"
    assert Markup(content, has_alignment=False).is_plain
    assert '<k id="1"/>' in Markup(content).xml
