"""Pairs that teach rare words: the lexicon is what sentences confirm, a word is replaced on both sides."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from scripts import rare_words
from scripts.general_data import Row, read, write

NOUNS = [
    ("masculine", "chien", "dog"),
    ("masculine", "seau", "bucket"),
    ("masculine", "parapluie", "umbrella"),
    ("feminine", "maison", "house"),
    ("feminine", "chèvre", "goat"),
]
FRAMES = {
    "masculine": ["Un {} est là.", "Je vois le {} ici."],
    "feminine": ["Une {} est là.", "Je vois la {} ici."],
}
ENGLISH_FRAMES = ["A {} is there.", "I see the {} here."]


def sentences() -> list[Row]:
    """Sentences with each noun; each twice in each frame."""
    rows: list[Row] = []
    for kind, french, english in NOUNS:
        for source, target in zip(FRAMES[kind], ENGLISH_FRAMES, strict=True):
            text = target.format(english).replace("A umbrella", "An umbrella")
            rows += [(source.format(french), text, "tatoeba")] * 2
    return rows


def test_words_that_occur_together_are_linked() -> None:
    links = rare_words.learn_links([(rare_words.words(row[0]), rare_words.words(row[1])) for row in sentences()])
    best = {french: max(links[french], key=lambda word: links[french][word]) for _, french, _ in NOUNS}
    assert best == {french: english for _, french, english in NOUNS}


def test_nothing_is_linked_without_words_that_are_there_often_enough() -> None:
    assert rare_words.learn_links([({"chien"}, {"dog"})] * (rare_words.MIN_COUNT - 1)) == {}


def test_mutual_entries_leave_out_words_that_are_the_same_in_both_languages() -> None:
    forward = {"seau": {"bucket": 0.9, "water": 0.1}, "radio": {"radio": 0.9}, "vase": {"mud": 0.9}}
    backward = {"bucket": {"seau": 0.8}, "radio": {"radio": 0.9}, "mud": {"boue": 0.9}}
    assert list(rare_words.mutual_entries(forward, backward)) == [("seau", "bucket")]


def test_of_a_known_word_only_translations_that_sentences_confirm_stay() -> None:
    dictionary = [("avocat", "pear"), ("avocat", "lawyer"), ("avocat", "counsel"), ("rouget", "mullet")]
    forward, backward = {"avocat": {"lawyer": 0.7}}, {"counsel": {"avocat": 0.2}}
    chosen = rare_words.choose_entries(dictionary, forward, backward, Counter(avocat=50))
    assert chosen == [("avocat", "lawyer"), ("avocat", "counsel"), ("rouget", "mullet")]


def test_of_an_unknown_word_with_many_translations_one_stays() -> None:
    dictionary = [("gréer", word) for word in ("rig out", "rig", "equip", "fit")]
    assert rare_words.choose_entries(dictionary, {}, {}, Counter()) == [("gréer", "rig")]


@pytest.mark.parametrize(
    ("kind", "french", "english", "result_french", "result_english"),
    [
        ("masculine", "Un chien est là.", "A dog is there.", "Un parapluie est là.", "An umbrella is there."),
        ("masculine", "Le chien dort.", "The dog sleeps.", "Le parapluie dort.", "The umbrella sleeps."),
        ("plural", "Je vois les chiens.", "I see dogs.", "Je vois les seaux.", "I see buckets."),
        (
            "verb",
            "Il veut laver le chien.",
            "He wants to wash the dog.",
            "Il veut tondre le chien.",
            "He wants to shear the dog.",
        ),
    ],
)
def test_a_word_is_replaced_on_both_sides(
    kind: str, french: str, english: str, result_french: str, result_english: str
) -> None:
    old = {"masculine": ("chien", "dog"), "plural": ("chiens", "dogs"), "verb": ("laver", "wash")}[kind]
    new = {"masculine": ("parapluie", "umbrella"), "plural": ("seaux", "buckets"), "verb": ("tondre", "shear")}[kind]
    replaceable = {name: dict([old] if name == kind else []) for name in rare_words.DETERMINERS}
    pools = {name: [new] if name == kind else [] for name in rare_words.DETERMINERS}
    made = list(rare_words.substitute([(french, english, "tatoeba")], replaceable, pools, random.Random(1)))
    assert made == [(result_french, result_english, "substituted")]


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("Mon chien dort.", "My dog sleeps."),  # a determiner that does not tell the gender
        ("Le chien et le chien.", "The dog and the hound."),  # there twice
        ("Le chien loup dort.", "The dog wolf sleeps."),  # before a noun
        ("Le chien dort.", "The hound sleeps."),  # another translation
    ],
)
def test_a_word_stays_where_it_cannot_be_replaced_with_certainty(french: str, english: str) -> None:
    replaceable = {name: {} for name in rare_words.DETERMINERS} | {"masculine": {"chien": "dog", "loup": "wolf"}}
    pools = {name: [] for name in rare_words.DETERMINERS} | {"masculine": [("seau", "bucket")]}
    assert not list(rare_words.substitute([(french, english, "tatoeba")], replaceable, pools, random.Random(1)))


def test_a_corpus_gives_a_lexicon_and_sentences_with_gender_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path / "train.parquet", [*sentences(), ("rouget", "mullet", "freedict"), ("Salut !", "Hi!", "everyday-x")]
    )
    arguments = ["rare_words", str(tmp_path / "train.parquet"), str(tmp_path / "words.parquet"), "--seed", "3"]
    monkeypatch.setattr("sys.argv", arguments)
    rare_words.main()
    rows = list(read(tmp_path / "words.parquet"))
    lexicon = {row[:2] for row in rows if row[2] == "lexicon"}
    assert {("rouget", "mullet"), *((french, english) for _, french, english in NOUNS)} <= lexicon
    made = [row for row in rows if row[2] == "substituted"]
    assert made
    nouns = {french: (kind, english) for kind, french, english in NOUNS}
    for french, english, _ in made:
        kind, translation = next(nouns[word] for word in re.findall(r"\w+", french) if word in nouns)
        assert translation in english
        assert re.search(r"\b(?:Un|le)\b" if kind == "masculine" else r"\b(?:Une|la)\b", french)
        assert not re.search(r"\b[Aa] umbrella|\b[Aa]n [^u]", english)
