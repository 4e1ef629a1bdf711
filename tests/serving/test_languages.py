from __future__ import annotations

import pytest

from translator.serving.languages import LanguageDetector, language_name

FRENCH = ["Bonjour", "Où est la gare ?", "Je t'aime", "Le chat dort.", "LE CHAT DORT SUR LE CANAPÉ."]
ENGLISH = ["Hello everyone", "Where is the station?", "I love you", "The cat is sleeping."]


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector("fr", "en")


def test_sentences_are_recognized(detector: LanguageDetector) -> None:
    assert [detector.detect(text)[0] for text in FRENCH] == ["fr"] * len(FRENCH)
    assert [detector.detect(text)[0] for text in ENGLISH] == ["en"] * len(ENGLISH)
    assert all(0.5 < detector.detect(text)[1] <= 1 for text in FRENCH + ENGLISH)


@pytest.mark.parametrize("text", ["", "12", "…", "\0"])
def test_text_without_evidence_is_in_the_source_language(detector: LanguageDetector, text: str) -> None:
    assert detector.detect(text) == ("fr", 0.5)


@pytest.mark.parametrize("pair", [("tlh", "en"), ("fr", "tlh"), ("fr", "fr")])
def test_an_unknown_language_is_never_told_apart(pair: tuple[str, str]) -> None:
    assert LanguageDetector(*pair).detect("Where is the station?") == (pair[0], 0.0)


def test_names_are_english_and_unknown_codes_are_their_own() -> None:
    assert language_name("fr") == "French"
    assert language_name("tlh") == "tlh"
