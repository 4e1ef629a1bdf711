"""Placeholders, URLs and e-mail addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from translator import Translator
from translator.config import DecodingChanges
from translator.inference.protection import Masked, joined, masks_for, protected_spans
from translator.inference.results import Hypothesis, Translation

TEXTS = [
    "Visitez https://example.com/page?id=3, puis http://a.b/c_(d).",
    "Bonjour {name}, vous avez %d messages de %(user)s.",
    "Écrivez à jean.dupont+x@example.org demain !",
    "{{ count }} fichiers dans ${dossier} ({0} sur {1:.2f}, $HOME, %1$s)",
    "{% if x %} Ouvrez %PATH% {% endif %} www.example.fr",
    "Appelez le 06 12 34 56 78, le 01.23.45.67.89 ou le +33 6 12 34 56 78.",
]


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in protected_spans(text)]


def test_urls_addresses_placeholders_and_telephone_numbers_are_protected() -> None:
    assert [parts(text) for text in TEXTS] == [
        ["https://example.com/page?id=3", "http://a.b/c_(d)"],
        ["{name}", "%d", "%(user)s"],
        ["jean.dupont+x@example.org"],
        ["{{ count }}", "${dossier}", "{0}", "{1:.2f}", "$HOME", "%1$s"],
        ["{% if x %}", "%PATH%", "{% endif %}", "www.example.fr"],
        ["06 12 34 56 78", "01.23.45.67.89", "+33 6 12 34 56 78"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "50 % de remise",
        "50% des gens",
        "100%s",
        "5 $ ou 7$",
        "f(x) = {un deux}",
        "a@b",
        "l'adresse http",
        "%%",
        "100 %.",
        "1 000 000 000 euros",
        "le 01.02.2003",
        "n° 01 23 45 67 89 10",
        "100 123 45 67 89",
        "12345678901",
    ],
)
def test_ordinary_text_is_not_protected(text: str) -> None:
    assert parts(text) == []


def test_closing_brackets_are_part_of_a_url_that_opens_them() -> None:
    assert parts("(voir https://a.b/c, https://a.b/c_(d)) [www.a.fr/[x]].") == [
        "https://a.b/c",
        "https://a.b/c_(d)",
        "www.a.fr/[x]",
    ]


def test_protected_text_that_occurs_twice_has_two_masks() -> None:
    masked = Masked.of("{a} et {a}")
    assert masked.text == "X1 et X2"
    assert masked.apply("{a} and {a}") == "X1 and X2"


def test_invalid_characters_of_protected_text_are_replaced() -> None:
    assert Masked.of("Voir https://a.b/\udcff").masks == {"X1": "https://a.b/\ufffd"}


def test_pieces_are_joined_as_one_sentence() -> None:
    masked = Masked.of("Ouvrez {a}, puis {b} !")
    pieces = masked.pieces()
    written = ["Open.", "Then."]
    found = [Translation("", (Hypothesis(text, -1.0, -2.0, (text,), (-1.0, -1.0)),)) for text in written]
    whole = joined(pieces, found)
    assert masked.restored(whole.text) == "Open {a}, then {b} !"
    assert (whole.score, whole.log_probability, whole.tokens) == (-2.0, -4.0, ("Open.", "Then."))
    [closed] = [joined([("un ?", True), ("X1", False)], [Translation("", (Hypothesis("One?", 0, 0, (), ()),))])]
    assert closed.text == "One ?X1"


def test_masks_do_not_occur_in_the_text() -> None:
    masks = masks_for("X1 et X3")
    assert [next(masks) for _ in range(3)] == ["X2", "X4", "X5"]
    assert Masked.of("X1 {a} {b}").text == "X1 X2 X3"


def test_a_text_comes_back_from_its_masks() -> None:
    for text in TEXTS:
        masked = Masked.of(text)
        assert masked.restored(masked.text) == text
        assert masked.apply(text) == masked.text
        assert masked.has_all(masked.text)
        assert not masked.has_all(masked.text + " X1")
        assert not masked.has_all(masked.text.replace("X1", "X12"))


def test_every_translation_has_the_protected_text_once_or_as_often_as_the_source() -> None:
    translator = Translator.load("fr-en-tiny", "cpu", threads=1)
    searches: list[DecodingChanges] = [
        {"num_hypotheses": 3},
        {"beam_size": 1},
        {"sample": True},
        {"num_beam_groups": 5},
    ]
    for options in searches:
        for text, translation in zip(TEXTS, translator.translate(TEXTS, **options), strict=True):
            assert translation.source == text
            for hypothesis in translation.hypotheses:
                assert sorted(parts(hypothesis.text)) == sorted(parts(text)), hypothesis.text


def test_protected_text_alone_is_copied() -> None:
    translator = Translator.load("fr-en-tiny", "cpu", threads=1)
    assert translator.translate("https://a.b/c").text == "https://a.b/c"
    assert translator.translate_markup("<b>{name}</b> !").text == "<b>{name}</b> !"


def test_a_prefix_an_alignment_and_a_score_know_the_protected_text() -> None:
    translator = Translator.load("fr-en-tiny", "cpu", threads=1)
    found = translator.translate(
        "Bonjour {name}, ça va ?", target_prefix="Hello {name}", alignment=True, split_sentences=False
    )
    assert found.text.startswith("Hello {name}")
    assert found.text.count("{name}") == 1
    alignment = found.hypotheses[0].alignment
    assert alignment is not None
    assert (alignment.source.index("{name}"), alignment.target.index("{name}")) in alignment.links
    for text in ("Bonjour {name}.", "Il fait froid."):
        best = translator.translate(text)
        assert translator.score([(text, best.text)])[0].log_probability == pytest.approx(
            best.hypotheses[0].log_probability, abs=1e-3
        )


def test_text_is_translated_around_protected_text_that_a_model_loses(model_directory: Path) -> None:
    """A model with random weights, which samples, loses every mask."""
    translator = Translator.load(model_directory, "cpu")
    translation = translator.translate("Ouvrez https://a.b/c, puis {x}.", sample=True, seed=3)
    assert "pieces" in translation.flags
    assert parts(translation.text) == ["https://a.b/c", "{x}"]
    kept = translator.translate("Ouvrez https://a.b/c, puis {x}.")
    assert sorted(parts(kept.text)) == ["https://a.b/c", "{x}"]


def test_protection_can_be_turned_off() -> None:
    translator = Translator.load("fr-en-tiny", "cpu", threads=1)
    assert "{name}" not in translator.translate("Bonjour {name}, ça va ?", protect=False, guard=False).text
