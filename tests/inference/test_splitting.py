from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from translator.inference.splitting import sentence_spans, sentences_of, split_text

MIN_RIGHT = 0.97


def french_cases() -> list[tuple[str, list[str]]]:
    """Return the category and the sentences of each case; joined with spaces, the sentences are the text."""
    lines = Path(__file__).with_name("french_sentences.tsv").read_text(encoding="utf-8").splitlines()
    return [(category, sentences) for category, *sentences in (line.split("\t") for line in lines)]


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
        ("une ligne\nune autre\r\n\r\nla fin", ["une ligne\nune autre", "la fin"]),
        ("你好。世界！好", ["你好。", "世界！", "好"]),
        ("كيف حالك؟ أنا بخير. شكرا", ["كيف حالك؟", "أنا بخير.", "شكرا"]),
        ("", []),
        (" \n ", []),
        ("sans fin", ["sans fin"]),
    ],
)
def test_sentences_end_where_readers_see_them_end(text: str, sentences: list[str]) -> None:
    assert sentences_of(text) == sentences


def test_french_sentences_are_split_as_marked_by_hand() -> None:
    cases = french_cases()
    wrong = [(category, sentences) for category, sentences in cases if sentences_of(" ".join(sentences)) != sentences]
    assert len(cases) == 200
    assert len(wrong) <= (1 - MIN_RIGHT) * len(cases), Counter(category for category, _ in wrong)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\u2028", "\x85", " \n\t"])
def test_a_line_break_is_white_space(line_break: str) -> None:
    assert sentences_of(f"J'ai perdu{line_break}mes clés hier{line_break}soir. Où{line_break}es-tu ?") == [
        f"J'ai perdu{line_break}mes clés hier{line_break}soir.",
        f"Où{line_break}es-tu ?",
    ]
    assert sentences_of(f"M.{line_break}Dupont dort.{line_break}Il rêve.") == [
        f"M.{line_break}Dupont dort.",
        "Il rêve.",
    ]


@pytest.mark.parametrize("blank_line", ["\n\n", "\r\n\r\n", "\r\r", "\n \t\n", "\u2028\u2028", "\u2029"])
def test_a_blank_line_ends_a_sentence(blank_line: str) -> None:
    assert sentences_of(f"Titre{blank_line}le texte de M.{blank_line}Dupont") == ["Titre", "le texte de M.", "Dupont"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("LE DR. BLANC DORT. PAUL ATTEND.", ["LE DR. BLANC DORT.", "PAUL ATTEND."]),
        ("LA S.N.C.F. EST EN GRÈVE. ELLE NÉGOCIE.", ["LA S.N.C.F. EST EN GRÈVE.", "ELLE NÉGOCIE."]),
        ("VOIR L'ART. 5. PASSONS AU PLAN B. ELLE VIENT.", ["VOIR L'ART. 5.", "PASSONS AU PLAN B.", "ELLE VIENT."]),
        (
            "Le nombre x vaut 3. Des points suivent. :-) Bien.",
            ["Le nombre x vaut 3.", "Des points suivent.", ":-) Bien."],
        ),
        ("Que dire ? : rien. Il part.", ["Que dire ? : rien.", "Il part."]),
        ("« Quoi ? », dit-il. L'hon. Roux part.", ["« Quoi ? », dit-il.", "L'hon. Roux part."]),
        ("Viens (p. ex. « demain »). Non.", ["Viens (p. ex. « demain »).", "Non."]),
        ("J'ai vu M. J Petit. J'ai vu Mme. C'est tout.", ["J'ai vu M. J Petit.", "J'ai vu Mme.", "C'est tout."]),
        ("А. С. Пушкин родился в Москве. Он поэт.", ["А. С. Пушкин родился в Москве.", "Он поэт."]),
    ],
)
def test_abbreviations_and_initials_do_not_end_sentences(text: str, sentences: list[str]) -> None:
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
        text = "".join(rng.choices("abcéM1 .,;:!?…«»-–\n\r\u2028\u2029\u0301。，x", k=rng.randrange(200)))
        parts = split_text(text, lambda part: len(part) <= limit)
        assert characters("".join(parts)) == characters(text)
        assert all(part and part == part.strip() for part in parts)
        assert all(len(part) <= limit or "\u0301" in part for part in parts)


def test_spans_of_sentences_joined_are_the_text() -> None:
    rng = random.Random(1)
    words = [
        "Le",
        "M.",
        "B",
        ".",
        "no.",
        "12",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\u2029",
        "!",
        "…",
        "«\u202f",
        "\u202f»",
        "(",
        "-",
        "。",
        "x",
    ]
    for _ in range(2000):
        text = "".join(rng.choices(words, k=rng.randrange(30)))
        assert "".join(sentence_spans(text)) == text


def test_a_single_character_is_kept_even_if_it_does_not_fit() -> None:
    assert split_text("ab", lambda part: False) == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000,
        "\u0301" * 3_000,
        ". " * 20_000,
        "." * 50_000,
        " " * 100_000,
        "a, " * 30_000,
        " \n" * 50_000,
        "M. " * 30_000,
    ],
)
def test_very_long_lines_are_split_quickly(text: str) -> None:
    parts = split_text(text, lambda part: len(part) <= 400)
    assert characters("".join(parts)) == characters(text)
