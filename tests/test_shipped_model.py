"""The model that comes with the package: found by its name, small, and of use the minute it is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from translator import Translator
from translator.checkpoint.location import bundled_models, find_model
from translator.cli import main

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def shipped() -> Translator:
    return Translator.load("fr-en", device="cpu")


def test_it_is_found_by_its_name_and_lies_in_models() -> None:
    assert "fr-en" in bundled_models()
    assert find_model("fr-en").resolve() == ROOT / "models" / "fr-en"


def test_it_is_a_bundle_with_a_card_and_small() -> None:
    files = {file.name: file.stat().st_size for file in find_model("fr-en").iterdir()}
    assert files.keys() == {"README.md", "config.yaml", "model.safetensors", "tokenizer.model"}
    assert sum(files.values()) < 30 * 2**20
    card = (ROOT / "models" / "fr-en" / "README.md").read_text(encoding="utf-8")
    for heading in ("## Scores", "## What it is bad at", "## How it was trained", "## Data and licences"):
        assert heading in card


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("Où est la gare ?", "Where is the station?"),
        ("Il fait très froid ce matin.", "It's very cold this morning."),
    ],
)
def test_it_translates_what_people_type_first(shipped: Translator, french: str, english: str) -> None:
    assert shipped.translate(french).text == english


def test_careless_typing_reaches_the_same_words(shipped: Translator) -> None:
    careful = shipped.translate("Où est la gare ?").text
    for typed in ("OÙ EST LA GARE ?", "où est la gare", "ou est la gare ?"):
        assert "station" in shipped.translate(typed).text.lower(), (typed, careful)


def test_it_does_not_loop_where_it_would(shipped: Translator) -> None:
    lines = [
        "Les plaintes sont déposées par écrit ou oralement.",
        "une amende maximale de dix mille euros et un emprisonnement maximal d'un an",
        "Loi sur la Cour de l'Échiquier",
    ]
    loop = re.compile(r"(\b\w+)( \1){3}")
    free = shipped.translate(lines, beam_size=1, no_repeat_ngram=0)
    assert all(loop.search(translation.text) for translation in free)
    for beam_size in (1, 5):
        guarded = shipped.translate(lines, beam_size=beam_size)
        assert not any(loop.search(translation.text) for translation in guarded)


def test_what_the_source_repeats_may_be_repeated(shipped: Translator) -> None:
    lines = [
        "Oui, oui, oui, oui, oui.",
        "Je t'aime, je t'aime, je t'aime, je t'aime.",
        "Un lapin, un lapin, un lapin et un lapin.",
    ]
    assert shipped.translate(lines) == shipped.translate(lines, no_repeat_ngram=0)


def test_the_first_example_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "fr-en", "Où est la gare ?", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == "Where is the station?\n"
