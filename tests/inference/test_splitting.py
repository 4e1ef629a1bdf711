from __future__ import annotations

import random

import pytest

from translator.inference.splitting import sentences_of, split_text


def characters(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Il dort. Elle mange.", ["Il dort.", "Elle mange."]),
        ("Vraiment ?! Oui… Non !", ["Vraiment ?!", "Oui…", "Non !"]),
        ("« Viens ! » Il part.", ["« Viens ! »", "Il part."]),
        ("« Viens ! » dit-il. Elle vient.", ["« Viens ! » dit-il.", "Elle vient."]),
        (
            "M. Dupont et Mme. Durand sont là. J. Martin aussi.",
            ["M. Dupont et Mme. Durand sont là.", "J. Martin aussi."],
        ),
        ("Il a 3.5 ans. 12 jours.", ["Il a 3.5 ans.", "12 jours."]),
        ("Non ! ! ! Vraiment ? ! Oui. . . Et toi ?", ["Non ! ! !", "Vraiment ? !", "Oui. . .", "Et toi ?"]),
        ("Bravo ! 😀 Merci.", ["Bravo !", "😀 Merci."]),
        ("... ! Oui. 😀", ["... ! Oui. 😀"]),
        ("DR. PETIT VIENT. MME. DURAND PART.", ["DR. PETIT VIENT.", "MME. DURAND PART."]),
        ("Vers 50 av. J.-C. Rome grandit. Vas-y. Oui.", ["Vers 50 av. J.-C. Rome grandit.", "Vas-y.", "Oui."]),
        ("une ligne\nune autre\r\n\r\nla fin", ["une ligne", "une autre", "la fin"]),
        ("你好。世界！好", ["你好。", "世界！", "好"]),
        ("كيف حالك؟ أنا بخير. شكرا", ["كيف حالك؟", "أنا بخير.", "شكرا"]),
        ("", []),
        (" \n ", []),
        ("sans fin", ["sans fin"]),
    ],
)
def test_sentences_end_where_readers_see_them_end(text: str, sentences: list[str]) -> None:
    assert sentences_of(text) == sentences


def test_a_sentence_is_halved_at_the_clause_nearest_its_middle() -> None:
    text = "Le matin, nous partons à la mer, puis nous rentrons, fatigués"
    assert split_text(text, lambda part: len(part) <= 40) == [
        "Le matin, nous partons à la mer,",
        "puis nous rentrons, fatigués",
    ]


def test_a_clause_is_halved_between_words_and_a_word_between_characters() -> None:
    assert split_text("un deux trois quatre", lambda part: len(part) <= 10) == ["un deux", "trois", "quatre"]
    assert split_text("abcdefgh", lambda part: len(part) <= 3) == ["ab", "cd", "ef", "gh"]


def test_an_accent_stays_with_its_letter() -> None:
    parts = split_text("e\u0301" * 8, lambda part: len(part) <= 5)
    assert all(part.startswith("e") for part in parts)
    assert "".join(parts) == "e\u0301" * 8


def test_a_text_that_fits_is_cut_at_sentences_only() -> None:
    assert split_text("a, b; c - d", lambda part: True) == ["a, b; c - d"]


@pytest.mark.parametrize("limit", [1, 2, 5, 17, 80])
def test_no_character_is_lost_and_every_part_fits(limit: int) -> None:
    rng = random.Random(limit)
    for _ in range(60):
        text = "".join(rng.choices("abcé .,;:!?…«»-–\n\u2028\u0301。，x", k=rng.randrange(200)))
        parts = split_text(text, lambda part: len(part) <= limit)
        assert characters("".join(parts)) == characters(text)
        assert all(part and part == part.strip() for part in parts)
        assert all(len(part) <= limit or "\u0301" in part for part in parts)


def test_a_single_character_is_kept_even_if_it_does_not_fit() -> None:
    assert split_text("ab", lambda part: False) == ["a", "b"]


@pytest.mark.parametrize(
    "text", ["x" * 200_000, "\u0301" * 3_000, ". " * 20_000, "." * 50_000, " " * 100_000, "a, " * 30_000]
)
def test_very_long_lines_are_split_quickly(text: str) -> None:
    parts = split_text(text, lambda part: len(part) <= 400)
    assert characters("".join(parts)) == characters(text)
