"""The corpus of sentiment as a whole: size, balance, determinism, promises about its splits."""

from __future__ import annotations

import hashlib
import os
import random
import re
import subprocess
import sys
from collections import Counter

import pytest

from benchmarks.bag_of_words import bag_of_words, most_frequent
from corpora.sentiment import LABELS, SPLITS, generate
from corpora.sentiment.lexicon import Noun, adjectives, aspects_of, idioms, patterns, topics, verbs
from corpora.sentiment.splits import AUTHORED, Draft, draw, fold, is_held_out, split_corpus
from corpora.tables import read_table


@pytest.fixture(scope="module")
def corpus() -> dict[str, tuple[Draft, ...]]:
    return split_corpus(1)


def pairs(split: str) -> list[tuple[str, str]]:
    return [(example.text, example.label) for example in generate(split)]


def test_the_corpus_is_large_enough(corpus: dict[str, tuple[Draft, ...]]) -> None:
    assert {split: len(corpus[split]) for split in SPLITS} == {"train": 24_000, "valid": 1000, "test": 2000}


@pytest.mark.parametrize("split", SPLITS)
def test_both_labels_are_equally_frequent(corpus: dict[str, tuple[Draft, ...]], split: str) -> None:
    counts = Counter(draft.example.label for draft in corpus[split])
    assert counts == dict.fromkeys(LABELS, len(corpus[split]) // 2)


def test_no_two_remarks_differ_only_in_capitals_and_punctuation(corpus: dict[str, tuple[Draft, ...]]) -> None:
    remarks = [fold(draft.example.text) for split in SPLITS for draft in corpus[split]]
    assert len(remarks) == len(set(remarks))


def test_half_of_test_holds_combinations_that_training_never_shows(corpus: dict[str, tuple[Draft, ...]]) -> None:
    for split in ("train", "valid"):
        assert not any(draft.is_held_out for draft in corpus[split])
    assert sum(draft.is_held_out for draft in corpus["test"]) == 1000


def test_held_out_combinations_are_of_words_that_training_shows_elsewhere(corpus: dict[str, tuple[Draft, ...]]) -> None:
    known = {word for draft in corpus["train"] for word in fold(draft.example.text).split()}
    held_out = [draft for draft in corpus["test"] if draft.is_held_out]
    assert all(known.issuperset(fold(draft.example.text).split()) for draft in held_out)
    # The rule seen in the text itself: "loin d'être" and the word after it.
    found = re.compile(r"loin d.être (\w+)")
    shown = {word for draft in corpus["train"] for word in found.findall(draft.example.text)}
    assert {word for draft in held_out for word in found.findall(draft.example.text)} - shown


def test_the_majority_is_right_half_of_the_time() -> None:
    labels = [label for _, label in pairs("train")]
    assert most_frequent(labels).score(*zip(*pairs("test"), strict=True)) == 0.5


def test_counting_words_is_not_enough() -> None:
    train, valid, test = (tuple(zip(*pairs(split), strict=True)) for split in SPLITS)
    model = bag_of_words(*train, *valid)
    assert model.score(*valid) > 0.6  # it has learned something
    assert model.score(*test) <= 0.8


def test_every_frame_occurs_in_training_and_nearly_every_one_in_test(corpus: dict[str, tuple[Draft, ...]]) -> None:
    frames = {frame.name for frame in patterns("frames")}
    assert {draft.example.construction for draft in corpus["train"]} == frames | {AUTHORED}
    tested = {draft.example.construction for draft in corpus["test"]}
    assert tested <= frames and len(tested) >= 0.9 * len(frames)


def test_adjectives_are_said_in_praise_and_in_blame_alike(corpus: dict[str, tuple[Draft, ...]]) -> None:
    for word in ("ennuyeux", "captivant", "bruyant", "confortable"):
        labels = Counter(draft.example.label for draft in corpus["train"] if word in fold(draft.example.text).split())
        assert min(labels.values()) > 0.3 * sum(labels.values()), (word, labels)


_DIGEST = """
import hashlib, random
from corpora.sentiment.splits import draw
print(hashlib.sha256(repr(list(draw(random.Random(5), 500))).encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_remarks_in_another_process_with_another_hash_seed() -> None:
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", _DIGEST], capture_output=True, text=True, check=True, env=environment
    )
    here = hashlib.sha256(repr(list(draw(random.Random(5), 500))).encode()).hexdigest()
    assert result.stdout.strip() == here


def test_another_seed_gives_other_remarks() -> None:
    assert list(draw(random.Random(5), 500)) != list(draw(random.Random(6), 500))


def test_remarks_are_well_formed(corpus: dict[str, tuple[Draft, ...]]) -> None:
    for split in SPLITS:
        for draft in corpus[split]:
            text = draft.example.text
            assert re.search(r"(\w\.|\u202f[!?])$", text), text
            assert text[0].isupper(), text
            assert not re.search(r"  | [.,?!:;]|[~_|{}\[\]]", text), text
            assert not re.search(r"\b(ne|que|de|le|la|se) [aàeéèêiîoôuœ]", text), text
            assert not re.search(r"\b(de les?|à les?)\b|\bce [aeéiou]|\bplus bon\w* que|de des ", text), text


def test_a_topic_agrees_with_what_is_said_of_it(corpus: dict[str, tuple[Draft, ...]]) -> None:
    plain = [d.example.text for s in SPLITS for d in corpus[s] if d.example.construction == "plain"]
    forms = {form: index for one in adjectives() for index, form in enumerate(one.forms) if len(set(one.forms)) == 4}
    checked = 0
    for text in plain:
        if found := re.fullmatch(
            r"(Ces chaussures|Cette série|Ce film|Ces écouteurs) (?:est|sont) (?:très )?(\w+)\.", text
        ):
            expected = {"Ce film": 0, "Cette série": 1, "Ces écouteurs": 2, "Ces chaussures": 3}[found[1]]
            assert forms.get(found[2], expected) == expected, text
            checked += 1
    assert checked > 5


def test_an_unknown_split_is_refused_with_the_names_of_the_splits() -> None:
    with pytest.raises(ValueError, match="train, valid, test"):
        generate("dev")


def test_the_lexicon_is_a_real_one() -> None:
    assert len(adjectives()) >= 200 and len(topics()) >= 90 and len(verbs()) >= 60
    assert len(patterns("frames")) >= 80 and len(idioms()) >= 120 and len(read_table("sentiment", AUTHORED)) >= 80


def test_something_can_be_said_of_every_topic_and_aspect_in_both_ways() -> None:
    def can_say(noun: Noun, polarity: int) -> bool:
        return sum(one.polarity == polarity and bool(one.tags & noun.tags) for one in adjectives()) >= 1

    for topic in topics():
        for noun in (topic, *aspects_of(topic)):
            assert can_say(noun, 1) and can_say(noun, -1), noun.french
        assert len(aspects_of(topic)) >= 1 or topic.domains[0] in ("plat", "service"), topic.french


def test_held_out_combinations_do_not_depend_on_the_seed() -> None:
    assert is_held_out(("not", "ennuyeux")) == is_held_out(("not", "ennuyeux"))
    found = [is_held_out((frame.name, one.french)) for frame in patterns("frames") for one in adjectives()]
    assert 0.1 < sum(found) / len(found) < 0.15
