from __future__ import annotations

import random

import pytest

from translator.inference.document import Document

WRAPPED = """\
Le train de nuit entre Paris et Nice est de retour. Il part chaque soir de la
gare d'Austerlitz et arrive le lendemain matin. M. Dupont, qui le prend
souvent, en est content.
"""


def characters(text: str) -> str:
    return "".join(text.split())


def test_the_lines_of_a_hard_wrapped_paragraph_are_one_text_and_wrapped_again() -> None:
    document = Document.read(f"Le rapport\n\n{WRAPPED}")
    assert document.texts == ["Le rapport", " ".join(WRAPPED.split())]
    written = document.write(["The report", "word " * 50])
    heading, blank, *lines = written.splitlines()
    assert (heading, blank) == ("The report", "")
    assert len(lines) == 4 and max(map(len, lines)) <= 77 and written.endswith("word\n")
    assert document.write(document.texts) == f"Le rapport\n\n{WRAPPED}"


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("J'ai perdu\nmes clés hier\nsoir.", ["J'ai perdu mes clés hier soir."]),
        ("lait\nœufs\npain\n", ["lait", "œufs", "pain"]),
        ("Marie Petit\n12, rue Foch\n69000 Lyon\n", ["Marie Petit", "12, rue Foch", "69000 Lyon"]),
        (
            f"{'Il part. ' * 8}Il part.\nIl revient.\n{'x ' * 80}x.",
            ["Il part. " * 8 + "Il part.", "Il revient.", "x " * 80 + "x."],
        ),
        ("Il dort.\nelle mange.", ["Il dort.", "elle mange."]),
        ("– Viens !\n– Non.\nIl rit.", ["Viens !", "Non.", "Il rit."]),
        ("Il est venu,\n– enfin –\nhier.", ["Il est venu, – enfin – hier."]),
        ("M. Petit dort.\nJ. Martin aussi.", ["M. Petit dort.", "J. Martin aussi."]),
        ("---\n***\n\t\n", []),
        ("", []),
    ],
)
def test_lines_are_joined_only_where_a_sentence_goes_on(text: str, texts: list[str]) -> None:
    assert Document.read(text).texts == texts


@pytest.mark.parametrize(
    "marker",
    ["- ", "* ", "• ", "– ", "  12. ", "1.2. ", "a) ", "(b) ", "c. ", "IV. ", "I. ", "## ", "> ", "> > ", "\t"],
)
def test_markers_stay_in_front_of_the_translation(marker: str) -> None:
    document = Document.read(f"{marker}Le chat\n{marker}Le chien\n")
    assert document.texts == ["Le chat", "Le chien"]
    assert document.write(["The cat", "The dog"]) == f"{marker}The cat\n{marker}The dog\n"


def test_a_wrapped_item_keeps_its_hanging_indent() -> None:
    text = "- du lait, de préférence celui de la ferme qui est au bout du chemin,\n  à gauche du pont.\n- du pain\n"
    document = Document.read(text)
    assert len(document.texts) == 2
    assert document.write(document.texts) == text
    assert document.write(["milk " * 15, "bread"]).splitlines() == [
        "- " + "milk " * 12 + "milk",
        "  milk milk",
        "- bread",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "end"])
def test_line_ends_and_blank_lines_are_kept(end: str, last: str) -> None:
    text = f"Titre{end}{end} \t{end}Le texte.  {end}{end}{'Fin' + end if last else 'Fin'}"
    document = Document.read(text)
    assert document.write(["Title", "The text.", "End"]) == text.replace("Titre", "Title").replace(
        "Le texte.  ", "The text."
    ).replace("Fin", "End")


def test_no_character_of_a_random_document_is_lost() -> None:
    rng = random.Random(1)
    for _ in range(500):
        text = "".join(
            rng.choices(["Le ", "chat", "-", "> ", "1. ", "\n", "\n\n", "\r\n", "\t", ".", " ", "É", "\u2028"], k=60)
        )
        document = Document.read(text)
        written = document.write(document.texts)
        assert characters(written).replace(">", "") == characters(text).replace(">", "")
        assert written.count("\n\n") == text.count("\n\n") or "\r" in text
        assert all(document.texts)


@pytest.mark.parametrize("text", ["a " * 100_000, " " * 100_000, "> " * 50_000, "a\n" * 50_000, "a b\n" * 20_000 + "."])
def test_long_documents_are_read_quickly(text: str) -> None:
    document = Document.read(text)
    assert characters(document.write(document.texts)) == characters(text)
