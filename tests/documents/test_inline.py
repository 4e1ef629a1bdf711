from __future__ import annotations

import pytest
from changes import in_capitals, outline

from translator.documents.inline import (
    KEPT,
    Atom,
    Content,
    Span,
    Tag,
    change_texts,
    cut,
    is_translatable,
    merge_text,
    nest,
    pair_marks,
    plain_text,
    without_period,
    write_marks,
)

BREAK = Atom("<br>", is_break=True)
PICTURE = Atom("<img>")


def bold(*content: str | Span | Atom) -> Span:
    return Span(("<b>", "</b>"), content)


@pytest.mark.parametrize(
    ("content", "texts", "changed"),
    [
        (("un",), ["un"], "UN"),
        ((" un \n",), ["un"], " UN \n"),
        (("un ", bold("deux"), " trois"), ["un [deux] trois"], "UN [DEUX] TROIS"),
        ((bold("un ", bold("deux")),), ["un [deux]"], "[UN [DEUX]]"),
        ((" ", bold(" un "), PICTURE), ["un"], " [ UN ]*"),
        ((PICTURE, "un", PICTURE, "deux", PICTURE), ["un*deux"], "*UN*DEUX*"),
        (("un", BREAK, " deux"), ["un", "deux"], "UN| DEUX"),
        (("un ", bold("deux", BREAK, "trois"), " quatre"), ["un", "deux", "trois", "quatre"], "UN [DEUX|TROIS] QUATRE"),
        (("12,5 €", BREAK, "https://a.fr/b", BREAK, "moi@a.fr"), [], "12,5 €|https://a.fr/b|moi@a.fr"),
        ((bold(), "un"), ["un"], "[]UN"),
        ((), [], ""),
    ],
)
def test_texts_are_between_breaks_and_without_what_is_at_their_ends(
    content: Content, texts: list[str], changed: str
) -> None:
    found = []

    def change(text: Content) -> Content:
        found.append(outline(text))
        return in_capitals(text)

    assert outline(change_texts(content, change)) == changed
    assert found == texts


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Voir https://exemple.fr/a_b?c=d#e.", "https://exemple.fr/a_b?c=d#e"),
        ("(www.exemple.fr)", "www.exemple.fr"),
        ("Écrire à jean.dupont@exemple.fr, merci", "jean.dupont@exemple.fr"),
        ("Bonjour {{ nom }} !", "{{ nom }}"),
        ("un {% if x %}deux", "{% if x %}"),
        ("Ratio 3:4 ; l'un/l'autre", None),
    ],
)
def test_addresses_end_before_punctuation(text: str, address: str | None) -> None:
    found = KEPT.search(text)
    assert (found[0] if found else None) == address


def test_a_text_is_translatable_if_it_has_a_letter_outside_addresses() -> None:
    assert is_translatable((PICTURE, bold("à")))
    assert not is_translatable(("12 %", PICTURE, bold("http://a.b")))


def test_tags_without_a_counterpart_are_breaks() -> None:
    def tag(name: str) -> Tag:
        return Tag(name.strip("/"), name.startswith("/"), name)

    assert outline(nest([tag("b"), "un", tag("i"), "deux", tag("/i"), tag("/b")])) == "[un[deux]]"
    assert outline(nest([tag("b"), "un", tag("i"), "deux", tag("/b"), tag("/i")])) == "[un|deux]|"
    assert outline(nest([tag("/b"), "un", tag("b")])) == "|un|"


def test_very_deep_nesting_ends_in_breaks() -> None:
    deep = [*(Tag("b", False, "<b>") for _ in range(3000)), "un", *(Tag("b", True, "</b>") for _ in range(3000))]
    content = change_texts(nest(deep), in_capitals)
    assert plain_text(content) == "UN"
    assert write_marks(content) == "<b>" * 3000 + "UN" + "</b>" * 3000


def test_marks_at_both_ends_of_a_range_become_a_span_unless_ranges_overlap() -> None:
    def mark(name: str, is_start: bool) -> Atom:
        return Atom(name, pair=(name, is_start))

    a, b, end_a, end_b = mark("a", True), mark("b", True), mark("a", False), mark("b", False)
    assert outline(pair_marks((a, "un", b, "deux", end_b, end_a))) == "[un[deux]]"
    assert outline(pair_marks((a, "un", b, "deux", end_a, end_b))) == "[un*deux]*"
    assert outline(pair_marks((a, "un"))) == "*un"
    [span] = pair_marks((a, "un", end_a))
    assert isinstance(span, Span) and span.mark == (a, end_a)


def test_cut_divides_at_a_character_and_repeats_spans() -> None:
    content = ("un ", bold("deux ", PICTURE, "trois"), " quatre")
    for place in range(len(plain_text(content)) + 1):
        first, second = cut(content, place)
        assert plain_text(first) + plain_text(second) == plain_text(content)
        assert len(plain_text(first)) == place
        assert (outline(first) + outline(second)).count("*") == 1
    first, second = cut(content, 8)
    assert (outline(first), outline(second)) == ("un [deux *]", "[trois] quatre")


def test_adjacent_strings_are_merged() -> None:
    assert merge_text(("a", "", "b", PICTURE, "", "c", "d")) == ("ab", PICTURE, "cd")


@pytest.mark.parametrize(
    ("text", "without"),
    [("The house.", "The house"), ("at 8 a.m.", "at 8 a.m."), ("and so on, etc.", "and so on, etc."), ("no", "no"),
     ("the end...", "the end..."), ("50 %", "50 %"), ("in 1990.", "in 1990"), ("(one).", "(one)"), (".", "")],
)  # fmt: skip
def test_only_a_period_that_ends_a_sentence_is_left_out(text: str, without: str) -> None:
    assert plain_text(without_period((bold("x"), text))) == f"x{without}"


def test_marks_are_written_around_spans() -> None:
    assert write_marks(("un ", bold("deux", PICTURE))) == "un <b>deux<img></b>"
