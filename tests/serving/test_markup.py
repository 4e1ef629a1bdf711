from __future__ import annotations

import time

import pytest

from translator.serving.markup import html_parts


def texts(html: str) -> list[str]:
    """Return the parts to translate."""
    parts = list(html_parts(html))
    assert "".join(part for part, _ in parts) == html
    return [part for part, is_text in parts if is_text]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p class='x'>Où est <b>la gare</b> ?</p>", ["Où est ", "la gare"]),
        ("a < b", ["a < b"]),
        ("A &amp; B &lt; C", ["A &amp; B &lt; C"]),
        ("&nbsp;&#160; &rarr;<br>", []),
        ('<a href="x>y" title=\'"\'>Oui</a>', ["Oui"]),
        ("<p don't>Oui</p>", ["Oui"]),
        ("<!-- Non --><!DOCTYPE html><?xml?>Oui", ["Oui"]),
        ("<script>if (a<b) x('</p>Non')</SCRIPT >Oui", ["Oui"]),
        ("<style>b { color: red }", []),
        ("<script>a<b</script>Oui<!-- a > b -->", ["Oui"]),
        ("<code>non <code>non</code> non</code> oui", [" oui"]),
        ("<p translate=no>non <i>non</i></p> oui", [" oui"]),
        ('<p class="a notranslate b">non</p> oui', [" oui"]),
        ("<p class='notranslated'>oui</p>", ["oui"]),
        ('<img translate="no"><br class="notranslate"/> oui', [" oui"]),
        ("Oui <a href='", ["Oui "]),
        ("Oui <a href='x\" non", ["Oui "]),
        ("Oui <!-- non", ["Oui "]),
        ("</p>oui</div></code>", ["oui"]),
        ("", []),
    ],
)
def test_text_and_markup_are_told_apart(html: str, expected: list[str]) -> None:
    assert texts(html) == expected


@pytest.mark.parametrize("unit", ["<a ", "<a '\"", "<a ='\"", "<!--", "<script>", "</", "&#x", '<p class="', "=  "])
def test_time_is_linear_on_malformed_html(unit: str) -> None:
    html = unit * (400_000 // len(unit))
    start = time.process_time()
    texts(html)
    assert time.process_time() - start < 3  # quadratic code takes minutes


def test_inline_elements_belong_to_the_text_around_them() -> None:
    html = '<p>Un <b>chat</b> <span class="notranslate">x <i>y</i></span>.</p><pre>a</pre><b> </b><h1>Deux</h1>'
    parts = list(html_parts(html, keeps_inline=True))
    assert "".join(part for part, _ in parts) == html
    assert [part for part, is_text in parts if is_text] == [
        'Un <b>chat</b> <span class="notranslate">x <i>y</i></span>.',
        "Deux",
    ]
    assert list(html_parts("Oui <b x='", keeps_inline=True)) == [("Oui ", True), ("<b x='", False)]
