"""The bundled models `fr-en` and `fr-en-tiny`: lookup by name, size, card, and translations."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from translator import Translator
from translator.checkpoint import CheckpointError, load_model
from translator.checkpoint.location import bundled_models, find_model
from translator.cli import main
from translator.inference.guard import Repair

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def shipped() -> Translator:
    return Translator.load("fr-en", device="cpu")


@pytest.fixture(scope="module")
def tiny() -> Translator:
    """Return the smaller model, which fails more often."""
    return Translator.load("fr-en-tiny", device="cpu")


@pytest.mark.parametrize("name", ["fr-en", "fr-en-tiny"])
def test_bundled_model_is_found_by_name_in_models(name: str) -> None:
    assert name in bundled_models()
    assert find_model(name).resolve() == ROOT / "models" / name


@pytest.mark.parametrize("name", ["fr-en", "fr-en-tiny"])
def test_bundled_model_is_small_and_has_a_card(name: str) -> None:
    files = {file.name: file.stat().st_size for file in find_model(name).iterdir()}
    assert files.keys() == {"README.md", "config.yaml", "model.safetensors", "tokenizer.model"}
    assert sum(files.values()) < 30 * 2**20
    card = (ROOT / "models" / name / "README.md").read_text(encoding="utf-8")
    for heading in ("## Scores", "## Known errors", "## How it was trained", "## Data and licenses"):
        assert heading in card


def test_damage_to_a_copy_of_the_bundled_model_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(find_model("fr-en"), tmp_path / "copy")
    weights = tmp_path / "copy" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="must match the checksums stored with them"):
        load_model(tmp_path / "copy")


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("Où est la gare ?", "Where is the station?"),
        ("Il fait très froid ce matin.", "It's very cold this morning."),
        ("Bonjour.", "Hello."),
    ],
)
def test_common_sentences_are_translated_correctly(shipped: Translator, french: str, english: str) -> None:
    assert shipped.translate(french).text == english


def test_typing_noise_does_not_change_the_content_word(shipped: Translator) -> None:
    careful = shipped.translate("Où est la gare ?").text
    for typed in ("OÙ EST LA GARE ?", "où est la gare", "ou est la gare ?"):
        assert "station" in shipped.translate(typed).text.lower(), (typed, careful)


def test_repetition_constraint_removes_loops(tiny: Translator) -> None:
    lines = [
        "Les plaintes sont déposées par écrit ou oralement.",
        "une amende maximale de dix mille euros et un emprisonnement maximal d'un an",
        "Loi sur la Cour de l'Échiquier",
    ]
    loop = re.compile(r"(\b\w+)( \1){3}")
    free = tiny.translate(lines, beam_size=1, no_repeat_ngram=0, guard=False)
    assert all(loop.search(translation.text) for translation in free)
    for beam_size in (1, 5):
        guarded = tiny.translate(lines, beam_size=beam_size, guard=False)
        assert not any(loop.search(translation.text) for translation in guarded)


@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
def test_the_guard_mends_what_the_model_loses(engine: str) -> None:
    if engine == "ctranslate2":
        pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")
    translator = Translator.load("fr-en-tiny", device="cpu", engine=engine)
    lines = ["Écrivez à jean.dupont@exemple.fr avant 14h30.", "Le numéro est le 01 23 45 67 89.", "Il fait froid."]
    found = translator.translate(lines, beam_size=1, protect=False)
    lost = translator.translate(lines, beam_size=1, protect=False, guard=False)
    for written, before, literals in zip(found, lost, ("jean.dupont@exemple.fr", "01 23 45 67 89"), strict=False):
        assert literals in written.text and literals not in before.text
        assert written.repair is not None and written.repair.failures and not written.repair.remaining
    assert found[2].repair == Repair() and found[2].hypotheses == lost[2].hypotheses


def test_repetition_in_the_source_is_translated(shipped: Translator) -> None:
    lines = [
        "Oui, oui, oui, oui, oui.",
        "Je t'aime, je t'aime, je t'aime, je t'aime.",
        "Un lapin, un lapin, un lapin et un lapin.",
    ]
    assert shipped.translate(lines) == shipped.translate(lines, no_repeat_ngram=0)


def test_first_example_of_the_readme_gives_the_shown_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "fr-en", "Où est la gare ?", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == "Where is the station?\n"
