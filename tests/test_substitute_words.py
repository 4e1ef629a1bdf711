"""scripts/substitute_words.py: rare words in the places of frequent ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from word_corpus import FEMININE, MASCULINE, MASCULINE_VOWEL, RARE, VERBS, VERBS_VOWEL, corpus

from scripts import substitute_words
from scripts.general_data import Row, read, write
from scripts.word_classes import WordClass
from scripts.word_translations import tokens

FREQUENT = {
    "masculine": MASCULINE,
    "feminine": FEMININE,
    "masculine vowel": MASCULINE_VOWEL,
    "infinitive": VERBS,
    "infinitive vowel": VERBS_VOWEL,
}
# Plurals agree in gender alone.
PLURALS = {
    "masculine plural": tuple(
        {f"{word}{'x' if word.endswith('eau') else 's'}": f"{english}s" for word, english in nouns.items()}
        for nouns in (MASCULINE | MASCULINE_VOWEL, RARE["masculine"] | RARE["masculine vowel"])
    ),
    "feminine plural": tuple(
        {f"{word}s": f"{english}s" for word, english in nouns.items()} for nouns in (FEMININE, RARE["feminine"])
    ),
}
CLASSES = {kind: (FREQUENT[kind], RARE[kind]) for kind in FREQUENT} | PLURALS
ALL_RARE = {french: english for _, rare in CLASSES.values() for french, english in rare.items()}


@pytest.fixture(autouse=True)
def _only_words_of_the_dictionary_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(substitute_words, "MAX_COUNT", 5)


def _substituted(rows: list[Row]) -> list[tuple[str, str]]:
    return [row[:2] for row in rows if row[2] == "substituted"]


def _difference(made: list[str], real: list[str]) -> list[int]:
    if len(made) != len(real):
        return [-1] * 9
    return [index for index, (one, other) in enumerate(zip(made, real, strict=True)) if one != other]


def test_one_word_is_replaced_on_both_sides_by_one_of_its_class() -> None:
    real = [(tokens(row[0]), tokens(row[1])) for row in corpus() if row[2] == "tatoeba"]
    made = _substituted(substitute_words.make(corpus(), times=2, seed=1, held_out=set()))
    found: Counter[str] = Counter()
    for french, english in ((tokens(pair[0]), tokens(pair[1])) for pair in made):
        word = next(token for token in french if token in ALL_RARE)
        kind = next(kind for kind, (_, rare) in CLASSES.items() if word in rare)
        assert ALL_RARE[word] in english
        origins = [
            pair[0][french.index(word)]
            for pair in real
            if _difference(french, pair[0]) == [french.index(word)] and len(_difference(english, pair[1])) <= 2
        ]
        assert CLASSES[kind][0].keys() & set(origins), (french, english)
        found[kind] += 1
    assert set(found) == set(CLASSES)


def test_each_rare_word_is_used_as_often_as_asked() -> None:
    for times in (1, 3):
        made = _substituted(substitute_words.make(corpus(), times=times, seed=1, held_out=set()))
        counts = Counter(token for pair in made for token in tokens(pair[0]) if token in ALL_RARE)
        assert counts == dict.fromkeys(ALL_RARE, times)
        assert len(set(made)) == len(made) == times * len(ALL_RARE)


def test_sentences_are_used_again_but_no_pair_twice() -> None:
    rare = {WordClass("feminine", False): [("loutre", "otter"), ("bougie", "candle")]}
    links = {"rue": ("street", WordClass("feminine", False))}
    sentences = [("Voici la rue.", "Here is the street.", "tatoeba")]
    made = list(substitute_words.substitute(sentences, rare, links, times=3, seed=1, held_out=set()))
    assert sorted(row[0] for row in made) == ["Voici la bougie.", "Voici la loutre."]


def test_the_indefinite_article_suits_the_new_word() -> None:
    rows = substitute_words.make(corpus(), times=4, seed=1, held_out=set())
    made = " ".join(english for _, english in _substituted(rows))
    assert "an otter" in made
    assert "an iceberg" in made
    assert "a gull" in made
    assert not [wrong for wrong in ("a otter", "a iceberg", "a apricot", "an gull", "an glove") if f" {wrong}" in made]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("hour", "An hour."), ("unit", "A unit."), ("umbrella", "An umbrella."), ("euro", "A euro."), ("wolf", "A wolf.")],
)
def test_the_indefinite_article_follows_the_sound(word: str, expected: str) -> None:
    place = substitute_words.Place(WordClass("masculine", False), 2, 2)
    assert substitute_words.replace(["Un", " ", "chat", "."], ["A", " ", "cat", "."], place, ("x", word))[1] == expected


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("Je vois la rue sombre.", "I see the street."),  # an adjective must agree
        ("Je vois la rue.", "I see the dark street."),
        ("Je vois la rue.", "I see the street light."),  # a compound
        ("Je vois la rue de la rue.", "I see the street of the street."),
        ("Je vois la rue Monge.", "I see the street."),  # a name
        ("Je vois cette Rue.", "I see this street."),
        ("Je vois leur rue.", "I see their street."),  # either gender
        ("Je vais vendre.", "I will sell."),  # no object
        ("Je veux le vendre à Paul.", "I want to sell it to Paul."),
    ],
)
def test_words_in_doubtful_places_stay(french: str, english: str) -> None:
    links = {
        "rue": ("street", WordClass("feminine", False)),
        "vendre": ("sell", WordClass("infinitive", False)),
    }
    assert not list(substitute_words.places(tokens(french), tokens(english), links))
    clear = ("Je veux vendre cette rue.", "I want to sell this street.")
    assert len(list(substitute_words.places(tokens(clear[0]), tokens(clear[1]), links))) == 2


def test_the_lexicon_has_confirmed_entries_and_mutual_translations() -> None:
    contradicted = [("voiture", "carriage", "freedict"), ("aller sur la lune", "land on the moon", "freedict")]
    names = [(f"{name} voit Londres.", f"{name} sees London.", "tatoeba") for name in ("Paul", "Luc", "Jean", "Marie")]
    rows = substitute_words.make([*corpus(), *contradicted, *names], times=1, seed=1, held_out=set())
    lexicon = {row[:2] for row in rows if row[2] == "lexicon"}
    assert {("loutre", "otter"), ("jardin", "garden"), ("vendre", "sell"), ("Londres", "London")} <= lexicon
    assert ("aller sur la lune", "land on the moon") in lexicon
    assert ("table", "table") not in lexicon


def test_an_entry_of_a_frequent_word_that_the_sentences_contradict_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [("chat", "flatterer", "freedict"), ("loutre", "flatterer", "freedict")]
    monkeypatch.setattr(substitute_words, "ATTESTED", 20)
    rows = substitute_words.make([*corpus(), *entries], times=1, seed=1, held_out=set())
    assert ("chat", "cat", "lexicon") in rows
    assert ("chat", "flatterer", "lexicon") not in rows
    assert ("loutre", "flatterer", "lexicon") in rows  # rare: the sentences do not tell


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["substitute_words.py", *map(str, arguments)])
    substitute_words.main()


def test_equal_seeds_write_equal_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "train.parquet", corpus())
    outputs = []
    for number, seed in enumerate((1, 1, 2)):
        _run(monkeypatch, tmp_path / "train.parquet", tmp_path / f"{number}.parquet", "--seed", seed, "--times", 2)
        outputs.append((tmp_path / f"{number}.parquet").read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]


def test_held_out_pairs_are_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "train.parquet", corpus())
    _run(monkeypatch, tmp_path / "train.parquet", tmp_path / "words.parquet", "--times", 2)
    rows = list(read(tmp_path / "words.parquet"))
    made, entry = _substituted(rows)[0], ("loutre", "otter")
    assert (*entry, "lexicon") in rows
    write(tmp_path / "french.parquet", [(made[0].upper(), "other", "test")])
    write(tmp_path / "english.parquet", [("autre", "Otter!", "test")])
    held_out = ("--held-out", tmp_path / "french.parquet", tmp_path / "english.parquet")
    _run(monkeypatch, tmp_path / "train.parquet", tmp_path / "words.parquet", "--times", 2, *held_out)
    rows = list(read(tmp_path / "words.parquet"))
    assert made not in _substituted(rows)
    assert (*entry, "lexicon") not in rows
    counts = Counter(token for pair in _substituted(rows) for token in tokens(pair[0]) if token in ALL_RARE)
    assert counts["bougie"] == 2


def test_a_corpus_without_words_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "train.parquet", [("Il neige.", "It snows.", "tatoeba")])
    with pytest.raises(SystemExit) as raised:
        _run(monkeypatch, tmp_path / "train.parquet", tmp_path / "words.parquet")
    assert raised.value.code == 2
    assert "too few pairs" in capsys.readouterr().err
    assert not (tmp_path / "words.parquet").exists()
