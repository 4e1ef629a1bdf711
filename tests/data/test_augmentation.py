"""Careless typing."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from made_up import data_config, make_pairs, write_text

from translator.config import AugmentationConfig
from translator.data.augmentation import add_typing_noise, with_typos, without_accents
from translator.data.corpus import Corpus, load_corpus
from translator.tokenizer import Tokenizers

TEXT = "L'été dernier, j'ai vu un garçon qui mangeait des pommes à Paris !"
ALMOST_ALWAYS = 0.999999


def typed(**shares: float) -> str:
    return add_typing_noise(TEXT, AugmentationConfig(**shares), seed=3)


def test_each_kind_of_add_typing_noiseness_does_what_it_says() -> None:
    assert typed() == TEXT
    assert typed(lowercase=ALMOST_ALWAYS) == TEXT.lower()
    assert typed(accents=ALMOST_ALWAYS) == "L'ete dernier, j'ai vu un garcon qui mangeait des pommes a Paris !"
    assert typed(final_punctuation=ALMOST_ALWAYS) == TEXT.removesuffix(" !")
    without = {add_typing_noise(TEXT, AugmentationConfig(apostrophes=ALMOST_ALWAYS), seed) for seed in range(9)}
    assert without == {TEXT.replace("'", ""), TEXT.replace("'", " ")}


def test_typos_change_letters_inside_few_words_and_no_others() -> None:
    words = TEXT.split(" ")
    seen = set()
    for seed in range(200):
        slipped = with_typos(TEXT, random.Random(seed)).split(" ")
        changed = [(word, other) for word, other in zip(words, slipped, strict=True) if word != other]
        assert len(changed) <= 2
        for word, other in changed:
            assert len(word) > 3 and word[0] == other[0] and abs(len(word) - len(other)) <= 1
            seen.add(len(other) - len(word))
    assert seen == {-1, 0, 1}
    assert with_typos("a b, c", random.Random(1)) == "a b, c"


def test_shares_are_kept_and_draws_follow_the_seed() -> None:
    config = AugmentationConfig(lowercase=0.25)
    drawn = [add_typing_noise(TEXT, config, seed) for seed in range(2000)]
    assert drawn == [add_typing_noise(TEXT, config, seed) for seed in range(2000)]
    assert 0.22 < np.mean([text != TEXT for text in drawn]) < 0.28


def test_a_text_of_nothing_but_punctuation_stays() -> None:
    assert add_typing_noise("…", AugmentationConfig(final_punctuation=ALMOST_ALWAYS), 1) == "…"


@pytest.mark.parametrize("text", ["été", "e\u0301te\u0301"])
def test_accents_go_however_they_are_encoded(text: str) -> None:
    assert without_accents(text) == "ete"


@pytest.fixture
def corpora(tmp_path: Path, tokenizers: Tokenizers) -> tuple[Corpus, Corpus]:
    """The same pairs without and with augmentation."""
    source = write_text(tmp_path, make_pairs(300, seed=5))

    def load(augmentation: dict[str, float]) -> Corpus:
        data = data_config(tmp_path / "cache", source).model_copy(
            update={"augmentation": AugmentationConfig(**augmentation)}
        )
        return load_corpus(
            data.train, data, tokenizers, sampling_alpha=0.0, seed=1, max_positions=128, log=lambda line: None
        )

    return load({}), load({"typos": 0.5})


def test_augmentation_draws_sources_anew_in_each_epoch_and_leaves_targets(corpora: tuple[Corpus, Corpus]) -> None:
    plain, augmented = corpora
    examples = np.arange(len(plain))
    clean, first, second = plain.encode(examples, 0), augmented.encode(examples, 0), augmented.encode(examples, 1)
    again = augmented.encode(examples, 1)
    for number in range(len(plain)):
        assert np.array_equal(clean[number].target, first[number].target)
        assert np.array_equal(second[number].source, again[number].source)
    changed = [
        np.mean([not np.array_equal(a.source, b.source) for a, b in zip(one, other, strict=True)])
        for one, other in ((clean, first), (first, second))
    ]
    assert 0.2 < changed[0] < 0.6 and changed[1] > 0.2


def test_augmentation_makes_another_corpus(corpora: tuple[Corpus, Corpus]) -> None:
    assert corpora[0].fingerprint != corpora[1].fingerprint
