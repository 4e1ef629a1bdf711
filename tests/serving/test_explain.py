from __future__ import annotations

from pathlib import Path

import pytest

from translator import Translator
from translator.inspection.reading import InspectionError
from translator.serving.explain import attention_maps_page, explain

SENTENCE = "Le chat dort."


def test_a_translation_that_does_not_fit_the_model_has_no_words(random_translator: Translator) -> None:
    found = explain(random_translator, SENTENCE, 1)  # bytes of no text, each a replacement character of three bytes
    assert len(found.translations) == 2
    assert found.source == SENTENCE
    assert found.attention == found.target_words == []


def test_words_are_places_in_the_texts(shipped: Translator) -> None:
    found = explain(shipped, SENTENCE, 2)
    words = [found.source[word.start : word.end] for word in found.source_words]
    assert words == ["Le", "chat", "dort", "."]
    best = found.translations[0].text
    assert "".join(best[word.start : word.end] for word in found.target_words) == best.replace(" ", "")


def test_each_target_word_attends_to_each_source_word(shipped: Translator) -> None:
    found = explain(shipped, SENTENCE, 0)
    assert len(found.attention) == len(found.target_words)
    assert all(len(row) == len(found.source_words) for row in found.attention)
    assert all(0 < sum(row) <= 1.001 for row in found.attention)  # the rest is attention to the end of the sentence


def test_translations_are_the_n_best_list(shipped: Translator) -> None:
    found = explain(shipped, SENTENCE, 4)
    expected = shipped.translate(SENTENCE, beam_size=5, num_hypotheses=5)
    assert [item.text for item in found.translations] == [item.text for item in expected.hypotheses]


def test_translations_begin_with_the_prefix(shipped: Translator) -> None:
    found = explain(shipped, SENTENCE, 3, "My cat")
    assert [item.text.startswith("My cat") for item in found.translations] == [True] * 4


def test_an_ensemble_has_translations_without_words(model_directory: Path) -> None:
    ensemble = Translator.load(model_directory, "cpu", ensemble=[model_directory])
    found = explain(ensemble, SENTENCE, 1)
    assert len(found.translations) == 2 and found.attention == found.source_words == []


@pytest.mark.parametrize(
    ("sentence", "message"), [("", "contain text"), ("  ", "contain text"), ("mot " * 1000, "at most")]
)
def test_a_sentence_that_cannot_be_shown_is_refused(shipped: Translator, sentence: str, message: str) -> None:
    with pytest.raises(InspectionError, match=message):
        explain(shipped, sentence, 0)


def test_the_page_of_attention_maps_shows_both_texts(shipped: Translator, random_translator: Translator) -> None:
    page = attention_maps_page(shipped, SENTENCE)
    assert SENTENCE in page and shipped.translate(SENTENCE).text in page
    assert SENTENCE in attention_maps_page(random_translator, SENTENCE)  # its translation is too long to be read again
