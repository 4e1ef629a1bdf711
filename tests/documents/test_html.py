from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
from changes import outline, reversed_words, rewritten
from lxml import html as lxml_html

from translator import Translator
from translator.documents.html import HtmlDocument, HtmlText
from translator.documents.inline import Content
from translator.documents.translation import translate_contents

PAGE = """\
<!DOCTYPE html>
<html lang=fr><head><meta charset="utf-8"><title>Ma maison</title>
<meta name="description" content="Une page sur ma maison"><meta name=viewport content="largeur">
<script>if (a < b && c > "<p>texte</p>") x();</script><style>p > b { color: red }</style></head>
<body onload="texte()"><h1>La maison de ma m&egrave;re</h1>
<p class="un">Le <b>chat <i>noir</i></b> dort sur le lit.<br/>Il fait froid &amp; il pleut.</p>
<ul><li>Le pain<li>Le <strong>lait</strong></ul>
<table><tr><td>Le chien</td><td>12,50&nbsp;&euro;</td></tr></table>
<p>Voici <a href="/page?a=1&b=2" title="Le titre">la page</a> de mon frère. <img src="x.png" alt="Un chat noir"></p>
<pre>  du code
  tel quel</pre><p>Lancez <code>pip install</code> et <span translate="no">Bonjour</span> demain.</p>
<div class="notranslate">Ne pas <p>traduire</p></div><!-- un commentaire --><textarea>Du texte</textarea>
<input type="submit" value="Envoyer" placeholder='Votre "nom"'><button>Fermer la porte</button>
</body></html>
"""


def counts(text: str) -> dict[str, int]:
    names = [
        "p",
        "h1",
        "ul",
        "li",
        "table",
        "td",
        "a",
        "img",
        "b",
        "i",
        "strong",
        "code",
        "pre",
        "br",
        "script",
        "input",
    ]
    tree = lxml_html.document_fromstring(text)
    return {name: len(tree.findall(f".//{name}")) for name in names}


def test_a_page_has_as_many_elements_after_translation(french_to_english: Translator) -> None:
    after = translate_contents(french_to_english, HtmlDocument(PAGE.encode())).decode()
    assert counts(after) == counts(PAGE)
    assert min(counts(after).values()) > 0
    assert re.findall("<[^>]*>", after.replace("My", "Ma"))[:3] == re.findall("<[^>]*>", PAGE)[:3]
    tree = lxml_html.document_fromstring(after)
    assert tree.findtext(".//h1") == "My mother's house"
    assert tree.find(".//p/b").text_content() == "black cat"
    assert tree.find(".//p").text_content().startswith("The black cat sleeps on the bed.")
    [link] = tree.findall(".//a")
    assert link.get("href") == "/page?a=1&b=2" and "page" in link.text_content()


def test_what_is_not_language_is_kept() -> None:
    after = rewritten(HtmlDocument(PAGE.encode())).decode()
    for kept in (
        '<script>if (a < b && c > "<p>texte</p>") x();</script><style>p > b { color: red }</style>',
        '<body onload="texte()">',
        "<pre>  du code\n  tel quel</pre>",
        'LANCEZ <code>pip install</code> ET <span translate="no">Bonjour</span> DEMAIN.',
        '<div class="notranslate">Ne pas <p>traduire</p></div><!-- un commentaire --><textarea>Du texte</textarea>',
        '<meta name=viewport content="largeur">',
        "<td>12,50&nbsp;&euro;</td>",
        "IL FAIT FROID &amp; IL PLEUT.",
    ):
        assert kept in after


def test_attributes_for_readers_are_translated() -> None:
    after = rewritten(HtmlDocument(PAGE.encode())).decode()
    for changed in (
        'content="UNE PAGE SUR MA MAISON"',
        'title="LE TITRE"',
        'alt="UN CHAT NOIR"',
        'value="ENVOYER"',
        "placeholder='VOTRE &quot;NOM&quot;'",
    ):
        assert changed in after


@pytest.mark.parametrize("change", [lambda content: content, reversed_words])
def test_tags_are_kept_in_any_order_of_words(change: Callable[[Content], Content]) -> None:
    after = rewritten(HtmlDocument(PAGE.encode()), change).decode()
    assert counts(after) == counts(PAGE)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("un <b>deux</b> trois", ["un [deux] trois"]),
        ("<p>un<p>deux", ["un", "deux"]),
        ("un<br>deux <img src=x> trois", ["un|deux * trois"]),
        ("<b>un<p>deux</b>", ["|un", "deux|"]),
        ("<i>un <b>deux</i></b>", ["[un |deux]|"]),
        ("<A HREF=x>un</a> <!-- c --> deux", ["[un] * deux"]),
        ("a <code>b</code> c <kbd><i>d</i></kbd> <svg><text>e</text></svg>", ["a * c * *"]),
        ('<span class="x notranslate y">un</span> deux', ["* deux"]),
        ("<p>12 %</p>  <hr>", []),
        ("a < b", ["a < b"]),
        ("un <b", ["un |"]),
        ('<script src="x"/><p>un</p>', ["un"]),
        ('<textarea><img alt="un"/></textarea><p>deux</p>', ["deux"]),
        ("", []),
    ],
)
def test_text_between_tags_that_are_not_inline_is_one_content(html: str, expected: list[str]) -> None:
    assert [outline(content) for content in HtmlText(html).contents] == expected


def test_any_text_is_written_as_it_was_read_except_for_entities() -> None:
    parts = ["<b>", "</b>", "<p>", "</p>", "<code>", "</code>", "<br/>", "<!--", "-->", "un", " ", "<", ">", "&", "é",
             '"', "<a title='", "'>", "</a>", "<script>", "</script>", "<img alt=\"", "<p translate=no>"]  # fmt: skip
    generator = random.Random(1)
    for _ in range(300):
        html = "".join(generator.choices(parts, k=20))
        text = HtmlText(html)
        written = text.write(text.contents)
        quoted = written.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&#x27;", "'")
        assert quoted.replace("&amp;", "&") == html


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("<p>été</p>".encode(), "<p>ÉTÉ €</p>".encode()),
        ("<p>été</p>".encode("utf-8-sig"), "<p>ÉTÉ €</p>".encode("utf-8-sig")),
        ("<p>été</p>".encode("utf-16"), "<p>ÉTÉ €</p>".encode("utf-16")),
        ("<p>été</p>".encode("latin-1"), "<p>ÉTÉ €</p>".encode("cp1252")),
        (b'<meta charset="iso-8859-15"><p>\xe9t\xe9</p>', b'<meta charset="iso-8859-15"><p>\xc9T\xc9 \xa4</p>'),
        (b"<meta charset=koi8-r><p>x</p>", b"<meta charset=koi8-r><p>X &#8364;</p>"),
        (b"<meta charset=base64><p>x</p>", b"<meta charset=base64><p>X \xe2\x82\xac</p>"),
        (b'<?xml version="1.0" encoding="ascii"?><p>x</p>', b'<?xml version="1.0" encoding="ascii"?><p>X \x80</p>'),
        (b"<meta charset=utf-8><p>\xff</p><p>x</p>", b"<meta charset=utf-8><p>\xff</p><p>X \xe2\x82\xac</p>"),
    ],
)
def test_the_encoding_is_kept(data: bytes, expected: bytes) -> None:
    document = HtmlDocument(data)
    assert document.write([(f"{outline(content).upper()} €",) for content in document.contents]) == expected
