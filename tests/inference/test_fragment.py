"""Fragments of XML and HTML, read into a tree and the text to translate."""

from __future__ import annotations

import pytest

from translator.inference.fragment import Fragment, MarkupError, escape, read_fragments


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Un <b>chat</b> noir.", "Un chat noir."),
        ("  Un  <b> chat </b>\n noir ", "Un chat noir"),
        ("Ligne<br/>suivante<w:tab w:val='1'/>ici", "Ligne suivante ici"),
        ("a &lt; b &amp; c &#233;&#xE9; &eacute;&nbsp;d", "a < b & c éé é d"),
        ("AT&T, <![CDATA[1 < 2]]><!-- un <b> --><?php echo ?> !", "AT&T, 1 < 2 !"),
        ("<a title='x > y' href=\"é\">lien</a>", "lien"),
        ("Tapez <c translate='no'>ls <i>x</i></c>.", "Tapez X1."),
        ("<code class='notranslate'>un</code> {nom}", "un X1"),  # the rules of HTML are not those of XML
        ("X1 et <c translate='no'>ls</c>, <c translate='no'/>.", "X1 et X2, ."),
        ("", ""),
    ],
)
def test_the_plain_text_has_no_tags_and_no_entities(text: str, plain: str) -> None:
    assert Fragment.read(text).plain == plain


def test_each_tag_is_a_node_with_its_span_of_the_plain_text() -> None:
    root = Fragment.read("<a>Un <b>chat</b></a><br/> noir").root
    [outer, mark] = root.children
    [inner] = outer.children
    assert [(node.opening, node.closing, node.start, node.end) for node in (outer, inner, mark)] == [
        ("<a>", "</a>", 0, 7),
        ("<b>", "</b>", 3, 7),
        ("<br/>", "", 7, 7),
    ]
    assert mark.is_separator
    assert mark.has_space == (False, True)


def test_spans_end_with_the_plain_text() -> None:
    [empty] = Fragment.read("un <b> </b> ").root.children
    assert (empty.start, empty.end) == (2, 2)


def test_protected_text_is_one_word_and_written_as_character_data() -> None:
    text = "Voir https://a.b/?c=1&amp;d=2 ou {nom}"
    fragment = Fragment.read(text)
    assert fragment.plain == "Voir X1 ou X2"
    assert [node.opening for node in fragment.root.walk()] == ["https://a.b/?c=1&amp;d=2", "{nom}"]
    assert Fragment.read(text, protect=False).plain == "Voir https://a.b/?c=1&d=2 ou {nom}"


def test_html_needs_no_closing_tags_and_ignores_case() -> None:
    fragment = Fragment.read("<B>Un</b> <img alt=chat>chat <i>a < b</p> <CODE>x<y</CODE>", html=True)
    assert fragment.plain == "Un chat a < b X1"
    assert [node.opening for node in fragment.root.walk()] == [
        "<B>",
        "<img alt=chat>",
        "<i>",
        "</p>",
        "<CODE>x<y</CODE>",
    ]
    assert [bool(node.closing) for node in fragment.root.walk()] == [True, False, False, False, False]


def test_elements_of_html_that_are_not_to_be_translated_are_one_word() -> None:
    text = 'Un <span class="x notranslate">Le <span>Monde</span></span> et <code>sans fin'
    fragment = Fragment.read(text, html=True)
    assert fragment.plain == "Un X1 et sans fin"
    assert fragment.root.children[0].opening == '<span class="x notranslate">Le <span>Monde</span></span>'


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("<b>un", "<b> without </b>, at character 0."),
        ("un</b>", "</b> without an opening tag, at character 2."),
        ("<b><i>un</b></i>", "</b> where </i> is expected, at character 8."),
        ("<b>un</B>", "</B> where </b> is expected, at character 5."),
        ("un < deux", "< deux, an unfinished tag, at character 3."),
    ],
)
def test_unbalanced_tags_of_xml_are_refused_with_their_place(text: str, received: str) -> None:
    with pytest.raises(MarkupError) as error:
        read_fragments(["un", text])
    assert str(error.value).startswith("Tags must be balanced and nested. Received: " + received)
    assert str(error.value).endswith("write < in text as &lt;. This is text 1.")


def test_escaped_text_is_character_data() -> None:
    assert escape("a < b && c > d") == "a &lt; b &amp;&amp; c &gt; d"
