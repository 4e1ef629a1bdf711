"""English morphology."""

from __future__ import annotations

import pytest

from corpora.phrasebook import english


@pytest.mark.parametrize(
    ("phrase", "article"),
    [
        ("apple", "an"),
        ("university", "a"),
        ("umbrella", "an"),
        ("honest man", "an"),
        ("uniform", "a"),
        ("hat", "a"),
        ("European car", "a"),
        ("unknown word", "an"),
        ("useful tool", "a"),
    ],
)
def test_the_indefinite_article_follows_the_sound(phrase: str, article: str) -> None:
    assert english.article(phrase) == article


@pytest.mark.parametrize(
    ("verb", "third", "past", "gerund"),
    [
        ("watch", "watches", "watched", "watching"),
        ("carry", "carries", "carried", "carrying"),
        ("play", "plays", "played", "playing"),
        ("stop", "stops", "stopped", "stopping"),
        ("clean", "cleans", "cleaned", "cleaning"),
        ("get up", "gets up", "got up", "getting up"),
        ("have dinner", "has dinner", "had dinner", "having dinner"),
        ("lie", "lies", "lied", "lying"),
        ("plug in", "plugs in", "plugged in", "plugging in"),
        ("write", "writes", "wrote", "writing"),
        ("fix", "fixes", "fixed", "fixing"),
        ("mow", "mows", "mowed", "mowing"),
    ],
)
def test_verb_forms(verb: str, third: str, past: str, gerund: str) -> None:
    assert [english.third_person(verb), english.past(verb), english.gerund(verb)] == [third, past, gerund]


@pytest.mark.parametrize(
    ("adjective", "comparative", "superlative"),
    [
        ("big", "bigger", "biggest"),
        ("nice", "nicer", "nicest"),
        ("pretty", "prettier", "prettiest"),
        ("good", "better", "best"),
        ("bad", "worse", "worst"),
        ("interesting", "more interesting", "most interesting"),
        ("tired", "more tired", "most tired"),
        ("quiet", "quieter", "quietest"),
        ("dry", "drier", "driest"),
        ("new", "newer", "newest"),
    ],
)
def test_comparison(adjective: str, comparative: str, superlative: str) -> None:
    assert [english.comparative(adjective), english.superlative(adjective)] == [comparative, superlative]


def test_questions_and_negations_take_do_only_where_there_is_no_auxiliary() -> None:
    assert english.verb_group("eat", "past", "third", True) == english.VerbGroup("did", "eat")
    assert english.verb_group("eat", "simple", "third", True) == english.VerbGroup("does", "eat")
    assert english.verb_group("be tired", "simple", "first", True) == english.VerbGroup("am", "tired")
    assert english.verb_group("can swim", "simple", "third", True) == english.VerbGroup("can", "swim")
    assert english.verb_group("can swim", "future", "third", False) == english.VerbGroup("will", "be able to swim")


def test_pronouns_contract_and_nouns_do_not() -> None:
    assert english.with_auxiliary("she", "is", False) == "she's"
    assert english.with_auxiliary("Marie", "is", False) == "Marie is"
    assert english.with_auxiliary("I", "am", True) == "I'm not"
    assert english.with_auxiliary("they", "will", True) == "they won't"
    assert english.with_auxiliary("we", "have", False) == "we've"


@pytest.mark.parametrize(
    ("singular", "plural"), [("box", "boxes"), ("candy", "candies"), ("tomato", "tomatoes"), ("piano", "pianos")]
)
def test_regular_plurals(singular: str, plural: str) -> None:
    assert english.plural(singular) == plural
