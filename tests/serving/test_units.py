from __future__ import annotations

from html import unescape

import pytest

from translator.serving.units import html_units, text_units


def test_a_text_of_one_line_is_one_unit() -> None:
    units = text_units("  Le chat dort. Où est la gare ?")
    assert units.texts == ["  Le chat dort. Où est la gare ?"]
    assert units.join(["The cat sleeps."]) == "The cat sleeps."


@pytest.mark.parametrize("by_sentence", [False, True])
@pytest.mark.parametrize(
    "text", ["", " ", "\n", "a\n\nb\n", "- a\n- b", "  1. a\r\n\r\n  2. b", "a. b. c\nd", "\u2028a", "x\r"]
)
def test_identity_keeps_the_lines(text: str, by_sentence: bool) -> None:
    units = text_units(text, by_sentence=by_sentence)
    assert units.join(units.texts).split() == text.split()
    assert units.join(units.texts).count("\n") == text.count("\n")
    assert len(units.lines) == len(units.texts)


def test_sentences_have_the_numbers_of_their_paragraphs() -> None:
    units = text_units("Un. Deux.\n\nTrois.", by_sentence=True)
    assert units.texts == ["Un.", "Deux.", "Trois."]
    assert units.lines == [0, 0, 1]
    assert units.join(["One.", "Two.", "Three."]) == "One. Two.\n\nThree."


@pytest.mark.parametrize("text", ["Un chat dort. " * 1000, "mot " * 5000, "x" * 9000, f"Un.\n{'Deux. ' * 2000}"])
def test_a_long_text_is_divided_into_units_of_bounded_size(text: str) -> None:
    units = text_units(text)
    assert 3 < len(units.texts) < len(text) / 1000
    assert all(len(unit) <= 2000 for unit in units.texts)
    assert "".join(units.join(units.texts).split()) == "".join(text.split())


def test_html_keeps_tags_and_white_space_and_escapes_text() -> None:
    units = html_units("<p>\n  Un &amp;\n deux <b>trois</b>\n</p> <code>x</code>", keeps_inline=False)
    assert units.texts == ["Un & deux", "trois"]
    assert units.join(["<One>", ""]) == "<p>\n  &lt;One&gt; <b></b>\n</p> <code>x</code>"


def test_html_with_inline_tags_is_one_unit_between_other_tags() -> None:
    html = "<ul>\n <li> Un <b>chat</b> &amp; <code>x</code> </li><li>Deux<br>Trois</li></ul><script>a<b</script>"
    units = html_units(html, keeps_inline=True)
    assert units.texts == ["Un <b>chat</b> &amp; <code>x</code>", "Deux", "Trois"]
    assert units.join(units.texts) == html


def test_a_long_run_of_html_is_divided_at_its_tags_and_sentences() -> None:
    html = "<p>" + "Un chat &amp; un <b>chien</b>. " * 200 + "Deux &amp; trois. " * 500 + "</p>"
    units = html_units(html, keeps_inline=True)
    assert all(len(unescape(unit)) <= 2000 for unit in units.texts)
    assert "<b>" not in "".join(units.texts)
    assert "".join(units.join(units.texts).split()) == "".join(html.split())
