"""The corpus as a whole: size, determinism, promises about its splits."""

from __future__ import annotations

import hashlib
import os
import random
import re
import subprocess
import sys

import pytest

from corpora.phrasebook import AUTHORED, CONSTRUCTIONS, SPLITS, generate
from corpora.phrasebook.splits import Draft, draw, is_held_out, split_corpus, words
from corpora.tables import read_table

NAMES = {construction.name for construction in CONSTRUCTIONS}


@pytest.fixture(scope="module")
def corpus() -> dict[str, tuple[Draft, ...]]:
    return split_corpus(1)


def test_the_corpus_is_large_enough(corpus: dict[str, tuple[Draft, ...]]) -> None:
    assert sum(len(corpus[split]) for split in SPLITS) >= 60_000
    assert [len(corpus[split]) for split in SPLITS[1:]] == [1000, 2000, 2000]


def test_every_french_sentence_is_distinct_and_so_has_one_translation(corpus: dict[str, tuple[Draft, ...]]) -> None:
    sentences = [draft.pair.french for split in SPLITS for draft in corpus[split]]
    assert len(sentences) == len(set(sentences))


def test_translation_is_a_function_even_without_regard_to_typography(corpus: dict[str, tuple[Draft, ...]]) -> None:
    translations: dict[str, str] = {}
    for split in SPLITS:
        for draft in corpus[split]:
            plain = re.sub(r"\s+", " ", draft.pair.french).lower()
            assert translations.setdefault(plain, draft.pair.english) == draft.pair.english


@pytest.mark.parametrize("split", SPLITS[1:])
def test_no_held_out_sentence_occurs_in_train_in_either_language(
    corpus: dict[str, tuple[Draft, ...]], split: str
) -> None:
    french = {draft.pair.french for draft in corpus["train"]}
    english = {draft.pair.english for draft in corpus["train"]}
    for draft in corpus[split]:
        assert draft.pair.french not in french
        assert draft.pair.english not in english


def test_held_out_splits_share_no_sentence(corpus: dict[str, tuple[Draft, ...]]) -> None:
    english = [draft.pair.english for split in SPLITS[1:] for draft in corpus[split]]
    assert len(english) == len(set(english))


def test_held_out_combinations_occur_in_the_compositional_split_alone(corpus: dict[str, tuple[Draft, ...]]) -> None:
    for split in ("train", "valid", "test"):
        assert not any(is_held_out(one) for draft in corpus[split] for one in draft.combinations)
    for draft in corpus["compositional"]:
        assert any(is_held_out(one) for one in draft.combinations)


def test_the_compositional_split_has_no_new_words_only_new_combinations(corpus: dict[str, tuple[Draft, ...]]) -> None:
    known = words(*(draft.pair for draft in corpus["train"]))
    assert words(*(draft.pair for draft in corpus["compositional"])) <= known


def test_a_held_out_verb_and_object_never_meet_in_train(corpus: dict[str, tuple[Draft, ...]]) -> None:
    """The rule seen in the text itself, not in what the grammar says about the text."""
    pairs = {one for draft in corpus["compositional"] for one in draft.combinations if one[0] == "verb-object"}
    pairs = {one for one in pairs if is_held_out(one)}
    assert len(pairs) > 20
    met = {one for draft in corpus["train"] for one in draft.combinations}
    assert not pairs & met


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_every_construction_occurs_in_every_ordinary_split(corpus: dict[str, tuple[Draft, ...]], split: str) -> None:
    assert {draft.pair.construction for draft in corpus[split]} == NAMES | {AUTHORED}


def test_every_construction_of_the_grammar_is_tested_compositionally(corpus: dict[str, tuple[Draft, ...]]) -> None:
    # Authored sentences have no combinations that could be held out.
    assert {draft.pair.construction for draft in corpus["compositional"]} == NAMES


def test_construction_names_are_distinct() -> None:
    assert len(NAMES) == len(CONSTRUCTIONS)


_DIGEST = """
import hashlib, random
from corpora.phrasebook.splits import draw
print(hashlib.sha256(repr(list(draw(random.Random(5), 12))).encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_sentences_in_another_process_with_another_hash_seed() -> None:
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", _DIGEST], capture_output=True, text=True, check=True, env=environment
    )
    here = hashlib.sha256(repr(list(draw(random.Random(5), 12))).encode()).hexdigest()
    assert result.stdout.strip() == here


def test_another_seed_gives_other_sentences() -> None:
    assert list(draw(random.Random(5), 12)) != list(draw(random.Random(6), 12))


def test_sentences_are_well_formed(corpus: dict[str, tuple[Draft, ...]]) -> None:
    french_end = re.compile(r"([^\s][.]|\u202f[!?]|[.!?]\u00a0»)$")
    for split in SPLITS:
        for draft in corpus[split]:
            french, english = draft.pair.french, draft.pair.english
            assert french_end.search(french), french
            assert english[-1] in '.?!"', english
            assert french[0].isupper() or french[0] in "«ÀÉÊ" or french[0].isdigit(), french
            assert not re.search(r"  | [.,?!]|[~_|]", french + " " + english[:-1]), (french, english)
            assert not re.search(r"\b(de les|de le [a-z]+$|à les|à le [bcdfg])\b", french), french


def test_an_unknown_split_is_refused_with_the_names_of_the_splits() -> None:
    with pytest.raises(ValueError, match="train, valid, test, compositional"):
        generate("dev")


def test_the_lexicon_is_a_real_one() -> None:
    for name in ("nouns", "verbs", "adjectives", "authored"):
        assert len(read_table("phrasebook", name)) >= 190
    assert len(read_table("phrasebook", "nouns")) >= 450
    assert len(read_table("phrasebook", "authored")) >= 400


def test_every_tag_that_a_verb_or_an_adjective_names_belongs_to_some_noun() -> None:
    labels = {label for row in read_table("phrasebook", "nouns") for label in (*row[4].split(","), f"={row[0]}")} | {
        "nationality"
    }
    used = {tag for row in read_table("phrasebook", "verbs") for tag in row[3].split(",") if tag}
    used |= {tag for row in read_table("phrasebook", "adjectives") for tag in row[4].split(",") if tag}
    assert used <= labels
