"""scripts/word_classes.py: classes of words from their contexts."""

from __future__ import annotations

import pytest
from word_corpus import corpus

from scripts.word_classes import WordClass, WordClasses, count_english, count_french


@pytest.fixture(scope="module")
def classes() -> WordClasses:
    pairs = [row[:2] for row in corpus() if row[2] == "tatoeba"]
    return WordClasses(count_french(pair[0] for pair in pairs), count_english(pair[1] for pair in pairs))


@pytest.mark.parametrize(
    ("french", "english", "kind", "elides"),
    [
        ("chat", "cat", "masculine", False),
        ("gant", "glove", "masculine", False),
        ("abricot", "apricot", "masculine", True),
        ("loutre", "otter", "feminine", False),
        ("chats", "cats", "masculine plural", False),
        ("maisons", "houses", "feminine plural", False),
        ("arbres", "trees", "masculine plural", False),
        ("peindre", "paint", "infinitive", False),
        ("admirer", "admire", "infinitive", True),
    ],
)
def test_contexts_tell_class_gender_and_number(
    classes: WordClasses, french: str, english: str, kind: str, elides: bool
) -> None:
    assert classes.find(french, english) == WordClass(kind, elides)


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("légèrement", "slightly"),  # an adverb that once follows an article
        ("rouge", "red"),  # an adjective
        ("triste", "sad"),
        ("californie", "california"),  # a name
        ("regarde", "watches"),  # a finite verb
        ("haricot", "bean"),  # le haricot, but l'habit
        ("chat", "cats"),  # a singular and a plural
        ("chats", "cat"),
        ("cf", "c"),
        ("chat-huant", "owl"),
    ],
)
def test_other_words_have_no_class(classes: WordClasses, french: str, english: str) -> None:
    assert classes.find(french, english) is None


def test_endings_tell_the_gender_of_a_noun_that_the_corpus_lacks(classes: WordClasses) -> None:
    assert classes.find("fondation", "house") == WordClass("feminine", False)
    assert classes.find("nettoyage", "house") == WordClass("masculine", False)
    assert classes.find("fauteuil", "house") is None
    # Not if its translation is not a noun there.
    assert classes.find("fondation", "foundation") is None


def test_a_verb_without_object_is_no_infinitive_for_a_sentence_with_one() -> None:
    french = count_french(["Il veut exister.", "Il peut vendre la chose."])
    english = count_english(["He wants to exist.", "He can sell the thing."])
    assert WordClasses(french, english).find("exister", "exist") is None
    assert WordClasses(french, english).find("vendre", "sell") == WordClass("infinitive", False)


def test_an_infinitive_after_a_pronoun_is_no_noun() -> None:
    french = count_french(["Je veux le conjecturer.", "Il a peur de le conjecturer."])
    english = count_english(["It is a conjecture.", "This is the conjecture."])
    assert WordClasses(french, english).find("conjecturer", "conjecture") is None


def test_plurals_are_regular_and_seen_if_the_noun_is_frequent(classes: WordClasses) -> None:
    assert classes.plural("chat", "cat") == ("chats", "cats")
    assert classes.plural("moineau", "sparrow") == ("moineaux", "sparrows")
    assert classes.plural("boîte", "box") == ("boîtes", "boxes")
    assert classes.plural("ville", "city") == ("villes", "cities")
    assert classes.plural("jouet", "toy") == ("jouets", "toys")
    # The noun is frequent, and its plural does not occur.
    assert classes.plural("chose", "thing") is None
    for irregular in (("journal", "newspaper"), ("bijou", "jewel"), ("nez", "nose"), ("couteau", "knife")):
        assert classes.plural(*irregular) is None


def test_words_are_spelled_as_inside_sentences(classes: WordClasses) -> None:
    assert classes.french.spelling("californie") == "Californie"
    assert classes.french.spelling("chat") == "chat"
    assert classes.french.spelling("demain") == "demain"  # seen at the start of sentences alone
    assert count_english(["We left NATO.", "In NATO, we agree."]).spelling("nato") == "NATO"
