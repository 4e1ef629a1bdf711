"""Placing of inline tags by word alignment."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from translator import Translator
from translator.inference.alignment import Alignment
from translator.inference.fragment import Fragment, MarkupError
from translator.inference.markup import place_tags, word_spans

WORDS = ["le", "chat", "noir", "dort", "sur", "canapé", "X1", "X2", ".", "n't", "l'"]


def placed(text: str, translation: str, links: str, *, html: bool = False) -> str:
    """Place the tags of a text in its translation, given the links in Pharaoh form."""
    fragment = Fragment.read(text, html=html)
    split = re.compile(r"\w+|[^\w\s]").findall
    pairs = tuple((int(source), int(target)) for source, target in (link.split("-") for link in links.split()))
    return place_tags(fragment, translation, Alignment(tuple(split(fragment.plain)), tuple(split(translation)), pairs))


@pytest.mark.parametrize(
    ("text", "translation", "links", "expected"),
    [
        ("un <b>chat noir</b>.", "a black cat.", "0-0 1-2 2-1 3-3", "a <b>black cat</b>."),
        ("un <b>chat</b> <i>noir</i>.", "a black cat.", "0-0 1-2 2-1 3-3", "a <i>black</i> <b>cat</b>."),
        ("<b>ne</b> va <b>pas</b>", "does not go", "0-1 1-2 2-1", "does <b>not</b> go<b></b>"),
        ("<a>un <b>chat</b></a> noir", "a black cat", "0-0 1-2 2-1", "<a>a black <b>cat</b></a>"),
        ("<b>oui, oui</b>", "yes, really", "0-0", "<b>yes, really</b>"),
        ("<b>très</b> bien", "well", "1-0", "<b></b>well"),
        ("un<br/>deux trois", "one two three", "0-0 1-1 2-2", "one<br/>two three"),
        ("un <br/> deux", "one two", "0-0 1-1", "one <br/> two"),
        ("chat <img/>noir", "black cat", "0-1 1-0", "<img/>black cat"),
        ("un chat<ref/>.", "a cat.", "0-0 1-1 2-2", "a cat<ref/>."),
        ("un chat.<ref/>", "a cat.", "0-0 1-1 2-2", "a cat.<ref/>"),
        ("<b></b>un<!-- x -->", "one & < 1", "0-0", "<b></b>one &amp; &lt; 1<!-- x -->"),
        ("tape <c translate='no'>ls</c> ici", "X1 type here", "0-1 1-0 2-2", "<c translate='no'>ls</c> type here"),
        ("tape <c translate='no'>ls</c> ici", "type here", "0-0 2-1", "type <c translate='no'>ls</c> here"),
        ("tape <c translate='no'>ls</c>", "X1 type X1", "0-1 1-0 1-2", "type <c translate='no'>ls</c>"),
        ("<i>tape <c translate='no'>a</c></i> b", "b X1 type", "0-2 1-1 2-0", "b <i><c translate='no'>a</c> type</i>"),
        ("<b/>", "", "", "<b/>"),
        ("<i>un</i> <b>chat noir</b>", "panther", "0-0 1-0 2-0", "<i></i><b>panther</b>"),  # more links into the second
        ("<i><c translate='no'>a</c></i> b", "word X1", "0-0", "word <i><c translate='no'>a</c></i>"),
        ("chat<ref/> noir.", "black cat.", "0-1 2-2", "black cat<ref/>."),
    ],
)
def test_tags_enclose_the_words_that_are_linked_to_theirs(
    text: str, translation: str, links: str, expected: str
) -> None:
    assert placed(text, translation, links) == expected


def test_any_alignment_gives_well_formed_text_with_every_tag_once_in_its_parent() -> None:
    generator = random.Random(5)
    for _ in range(2000):
        text = random_fragment(generator, depth=0)
        fragment = Fragment.read(text)
        source = re.findall(r"\w+|[^\w\s]", fragment.plain)
        target = [generator.choice(WORDS) for _ in range(generator.randrange(12))]
        translation = "".join(generator.choice(["", " "]) + word for word in target).strip()
        links = tuple(
            (generator.randrange(len(source)), generator.randrange(len(target)))
            for _ in range(generator.randrange(20) if source and target else 0)
        )
        found = place_tags(fragment, translation, Alignment(tuple(source), tuple(target), links))
        assert parents(found) == parents(text), (text, found)
        letters = re.sub(r"\s|X[12](?!\d)", "", translation)
        outside = re.sub(r"<c[^>]*>.*?</c>|\s|X[12](?!\d)", "", found)
        assert re.sub("<[^>]*>", "", outside) == letters


def random_fragment(generator: random.Random, depth: int) -> str:
    parts = []
    for _ in range(generator.randrange(1, 5)):
        kind = generator.randrange(6 if depth < 3 else 3)
        name = f"n{generator.randrange(10**6)}"
        parts.append(generator.choice(["", " "]))
        if kind < 2:
            parts.append(generator.choice(["Un", "chat noir", "dort.", "l'"]))
        elif kind == 2:
            parts.append(f"<{name} a='1'/>")
        elif kind == 3:
            parts.append(f"<c translate='no' n='{name}'>x y</c>")
        else:
            parts.append(f"<{name}>{random_fragment(generator, depth + 1)}</{name}>")
    return "".join(parts)


def parents(fragment: str) -> Counter[tuple[str, str]]:
    """Return the elements of a fragment, each with its parent; it must be well-formed."""
    root = ElementTree.fromstring(f"<root>{fragment}</root>")
    return Counter((parent.tag, child.tag + child.get("n", "")) for parent in root.iter() for child in parent)


def test_words_are_found_whatever_their_case_accents_and_spaces() -> None:
    assert word_spans(["le", "cafe\u0301", "'", "est", "½"], "LE Café’ \u00adEST½") == [
        (0, 2),
        (3, 7),
        (7, 8),
        (10, 13),
        (13, 14),
    ]
    assert word_spans(["un", "deux", "trois"], "un trois") == [(0, 2), (3, 3), (3, 8)]
    assert word_spans(["un", "chat", "deux"], f"un deux{' mot' * 20} chat") == [(0, 2), (3, 3), (3, 7)]


def test_a_translator_places_tags_in_every_hypothesis() -> None:
    translator = Translator.load("fr-en-tiny", "cpu", threads=1)
    translation = translator.translate_markup("Le <b>chat noir</b> dort.", num_hypotheses=3)
    assert translation.text == "The <b>black cat</b> is sleeping."
    assert all("<b>" in each.text and each.alignment is None for each in translation.hypotheses)
    assert translation.source == "Le <b>chat noir</b> dort."
    [copied, empty] = translator.translate_markup(
        ["Lisez <code>a < b</code> !<br>Bonne <i>nuit</i>.", "<br>"], html=True, alignment=True
    )
    assert copied.text == "Read <code>a < b</code>.<br>Good <i>night</i>."
    assert copied.hypotheses[0].alignment is not None
    assert empty.text == "<br>"


def test_unbalanced_tags_are_refused_before_anything_is_translated(model_directory: Path) -> None:
    translator = Translator.load(model_directory, "cpu")
    with pytest.raises(MarkupError, match="This is text 1"):
        translator.translate_markup(["<b>un</b>", "<b>un"])
