from __future__ import annotations

import random
import time

import pytest

from translator.inference.html_tokens import HtmlToken, html_tokens

PARTS = ["<b>", "</B>", "<p class='a>b'>", "<br/>", "<!--", "-->", "<!DOCTYPE html>", "un", " ", "<", ">", "&", "é",
         '"', "<a title='", "'>", "<script>", "</script>", "<textarea/>", "<img alt=\""]  # fmt: skip


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("a < b", [HtmlToken("a < b", is_text=True)]),
        ("<P id='>'>un</p >", [
            HtmlToken("<P id='>'>", name="p"),
            HtmlToken("un", is_text=True),
            HtmlToken("</p >", name="p", is_end=True),
        ]),
        ("<!-- <b> -->un<?x?>", [
            HtmlToken("<!-- <b> -->"),
            HtmlToken("un", is_text=True),
            HtmlToken("<?x?>"),
        ]),
        ("<style>a>b</STYLE>", [
            HtmlToken("<style>", name="style", raw="a>b"),
            HtmlToken("</STYLE>", name="style", is_end=True),
        ]),
        ("<script>un<b>", [HtmlToken("<script>", name="script", raw="un<b>")]),
        ('<script src="x"/>un', [HtmlToken('<script src="x"/>', name="script"), HtmlToken("un", is_text=True)]),
        ("un<a href='", [HtmlToken("un", is_text=True), HtmlToken("<a href='", name="a")]),
    ],
)  # fmt: skip
def test_html_is_divided_into_text_and_markup(html: str, expected: list[HtmlToken]) -> None:
    assert list(html_tokens(html)) == expected


@pytest.mark.parametrize(
    ("html", "expected"), [("<p>", True), ("</p>", False), ("<br>", False), ("<p/>", False), ("<!-->", False)]
)
def test_start_tags_of_elements_with_content_are_told(html: str, expected: bool) -> None:
    [token] = html_tokens(html)
    assert token.has_content is expected


def test_tokens_joined_are_the_input() -> None:
    generator = random.Random(1)
    for _ in range(300):
        html = "".join(generator.choices(PARTS, k=20))
        assert "".join(token.source + token.raw for token in html_tokens(html)) == html


@pytest.mark.parametrize("unit", ["<a ", "<a '\"", "<a ='\"", "<!--", "<script>", "</", '<p class="', "=  "])
def test_time_is_linear_on_malformed_html(unit: str) -> None:
    start = time.process_time()
    assert sum(1 for _ in html_tokens(unit * (400_000 // len(unit))))
    assert time.process_time() - start < 3  # quadratic code takes minutes
