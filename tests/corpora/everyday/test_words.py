"""Words of the everyday corpus: spelling of the tables, forms of nouns and adjectives, frames."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from corpora.everyday.adjectives import feminine
from corpora.everyday.frames import Pair
from corpora.everyday.nouns import english_plural, framed_noun, parse_noun, plural_forms, singular_forms
from corpora.everyday.words import ADJECTIVE_FRAMES, NOUN_TABLES, OTHER_TABLES, word_pairs, words

PROPER = {"countries", "nationalities", "calendar"}
TABLES = (*NOUN_TABLES, *OTHER_TABLES, *ADJECTIVE_FRAMES, "verbs", "countries")
KEPT_CAPITALS = {"I", "T-shirt", "Nobel Prize", "State", "TV"}


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return word_pairs(random.Random("words"))


def test_there_are_thousands_of_words() -> None:
    assert sum(len(words(table)) for table in TABLES) > 2500


def test_no_word_is_listed_twice() -> None:
    tables = defaultdict(list)
    for table in TABLES:
        for french, _ in words(table):
            tables[french].append(table)
    assert {french: found for french, found in tables.items() if len(found) > 1} == {}


@pytest.mark.parametrize("table", [table for table in TABLES if table not in PROPER])
def test_words_are_lowercase_unless_they_are_proper_nouns(table: str) -> None:
    for french, english in words(table):
        assert french == french.lower() or "État" in french or "Nobel" in french, french
        assert english == english.lower() or english in KEPT_CAPITALS, english


@pytest.mark.parametrize("table", NOUN_TABLES)
def test_nouns_begin_with_an_article(table: str) -> None:
    assert all(parse_noun(*row).french for row in words(table))


def test_a_noun_without_an_article_is_refused() -> None:
    with pytest.raises(ValueError, match="must begin with un, une, des"):
        parse_noun("chat", "cat")


@pytest.mark.parametrize(
    ("row", "forms"),
    [
        (
            ("un chat", "cat"),
            "chat: cat, le chat: the cat, un chat: a cat, chats: cats, les chats: the cats, des chats: cats",
        ),
        (
            ("une oreille", "ear"),
            "oreille: ear, l'oreille: the ear, une oreille: an ear, oreilles: ears, les oreilles: the ears, "
            "des oreilles: ears",
        ),
        (("une hanche", "hip"), "hanche: hip, la hanche: the hip, une hanche: a hip, hanches: hips, "
            "les hanches: the hips, des hanches: hips"),
        (("de l'eau", "water"), "eau: water, l'eau: the water"),
        (("des ciseaux", "scissors"), "ciseaux: scissors, les ciseaux: the scissors, des ciseaux: scissors"),
        (("un pantalon", "trousers"), "pantalon: trousers, le pantalon: the trousers, un pantalon: trousers"),
        (("une salle de bains", "bathroom"), "salle de bains: bathroom, la salle de bains: the bathroom, "
            "une salle de bains: a bathroom"),
    ],
)  # fmt: skip
def test_forms_of_a_noun(row: Pair, forms: str) -> None:
    noun = parse_noun(*row)
    assert ", ".join(f"{french}: {english}" for french, english in singular_forms(noun) + plural_forms(noun)) == forms


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("un ami", "friend"), ("mon ami", "my friend")),
        (("une amie", "friend"), ("mon amie", "my friend")),
        (("un hôtel", "hotel"), ("cet hôtel", "this hotel")),
        (("des lunettes", "glasses"), ("Où sont les lunettes ?", "Where are the glasses?")),
        (("un pantalon", "trousers"), ("Voilà mon pantalon.", "There are my trousers.")),
        (("du pain", "bread"), ("beaucoup de pain", "a lot of bread")),
        (("un œuf", "egg"), ("Combien d'œufs ?", "How many eggs?")),
    ],
)
def test_frames_of_a_noun_agree_with_it(row: Pair, expected: Pair) -> None:
    draw = random.Random(1)
    assert expected in {framed_noun(draw, parse_noun(*row)) for _ in range(300)}


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("mother-in-law", "mothers-in-law"),
        ("piece of furniture", "pieces of furniture"),
        ("postman", "postmen"),
        ("unemployed person", "unemployed people"),
        ("light bulb", "light bulbs"),
        ("knife", "knives"),
        ("sheep", "sheep"),
        ("baby", "babies"),
    ],
)
def test_plurals_of_english_nouns(singular: str, plural: str) -> None:
    assert english_plural(singular) == plural


@pytest.mark.parametrize(
    "forms",
    ["beau belle", "heureux heureuse", "bon bonne", "cher chère", "actif active", "rouge rouge", "canadien canadienne",
     "faux fausse", "marron marron", "grand grande", "naturel naturelle", "gros grosse"],
)  # fmt: skip
def test_feminine_of_an_adjective(forms: str) -> None:
    masculine, expected = forms.split()
    assert feminine(masculine) == expected


def test_equal_seeds_give_equal_words(pairs: list[Pair]) -> None:
    assert word_pairs(random.Random("words")) == pairs
    assert word_pairs(random.Random("others")) != pairs


def test_a_lowercase_word_has_one_translation(pairs: list[Pair]) -> None:
    translations = defaultdict(set)
    for french, english in pairs:
        if " " not in french and french.islower():
            translations[french].add(english)
    assert {french: found for french, found in translations.items() if len(found) > 1} == {}
    assert translations["fils"] == {"son"}


def test_a_word_that_is_a_phrase_is_translated_as_the_phrase(pairs: list[Pair]) -> None:
    assert not {"Envoyer", "envoyer", "Annuler.", "Il y a une heure."} & {french for french, _ in pairs}


@pytest.mark.parametrize(
    "pair",
    [
        ("maison", "house"),
        ("la maison", "the house"),
        ("une maison", "a house"),
        ("les maisons", "the houses"),
        ("manger", "to eat"),
        ("la liberté", "freedom"),
        ("française", "French"),
        ("France", "France"),
        ("l'anglais", "English"),
        ("lundi", "Monday"),
        ("avec", "with"),
    ],
)
def test_words_are_there(pair: Pair, pairs: list[Pair]) -> None:
    assert pair in pairs


def test_countries_take_their_preposition(pairs: list[Pair]) -> None:
    pairs = pairs + word_pairs(random.Random("again"))
    sentences = {french for french, english in pairs if english.endswith(("Canada.", "France.", "States.", "Italy."))}
    assert sentences & {
        "J'habite au Canada.",
        "Elle habite au Canada.",
        "Nous allons au Canada.",
        "Je viens du Canada.",
    }
    assert sentences & {"J'habite en France.", "Elle habite en France.", "Nous allons en France."}
    assert not [
        french for french, _ in pairs if french.startswith(("J'habite à le", "Je viens de le", "J'habite à la"))
    ]
