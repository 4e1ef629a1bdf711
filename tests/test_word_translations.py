"""scripts/word_translations.py: IBM model 1 on a small corpus."""

from __future__ import annotations

import pytest
from word_corpus import FEMININE, MASCULINE, VERBS, corpus

from scripts.word_translations import WordTranslations, estimate, tokens, words


@pytest.fixture(scope="module")
def translations() -> WordTranslations:
    return estimate([row[:2] for row in corpus() if row[2] == "tatoeba"])


@pytest.mark.parametrize("text", ["L'été, 30 chats-huants_!", "  Où ?\tIci.", ""])
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


def test_words_are_lowercase_and_have_no_numbers_and_marks() -> None:
    assert words("L’arbre a 3 chats-huants !") == {"l", "arbre", "a", "chats-huants"}


def test_frequent_words_have_their_translation_in_both_directions(translations: WordTranslations) -> None:
    for french, english in (MASCULINE | FEMININE | VERBS).items():
        assert max(translations.forward[french].items(), key=lambda entry: entry[1])[0] == english
        assert max(translations.backward[english].items(), key=lambda entry: entry[1])[0] == french


def test_probabilities_of_a_word_sum_to_at_most_1(translations: WordTranslations) -> None:
    for table in (translations.forward, translations.backward):
        assert all(sum(link.probability for link in entries.values()) <= 1.0001 for entries in table.values())


def test_mutual_translations_leave_out_equal_words(translations: WordTranslations) -> None:
    mutual = translations.mutual()
    assert mutual["chat"] == "cat"
    assert mutual["vendre"] == "sell"
    assert translations.forward["table"]["table"].probability > 0.35
    assert "table" not in mutual


def test_strength_of_a_phrase_counts_each_french_word(translations: WordTranslations) -> None:
    cat = translations.strength("chat", "cat")
    assert cat > 1
    assert translations.strength("chat", "Cat and house") == cat
    assert translations.strength("chat maison", "house cat") > cat
    assert translations.strength("chat", "house") < 0.1


def test_equal_seeds_give_equal_tables_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.word_translations.MAX_PAIRS", 300)
    pairs = [row[:2] for row in corpus()]
    assert estimate(pairs, seed=2) == estimate(pairs, seed=2)
    assert estimate(pairs, seed=2) != estimate(pairs, seed=3)


def test_without_frequent_words_there_are_no_translations() -> None:
    assert estimate([]) == estimate([("chat", "cat")]) == WordTranslations({}, {})
