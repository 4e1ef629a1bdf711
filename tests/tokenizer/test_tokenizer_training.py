from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import sentencepiece as spm
from syllables import TEXT, config, sentences

from translator.tokenizer import Tokenizer, TokenizerError, Tokenizers, sample_sentences


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_training_is_a_function_of_text_configuration_and_seed(model_type: str) -> None:
    options = config(model_type=model_type, training_sentences=500)
    first = Tokenizer.train(iter(TEXT), options, seed=1)
    assert Tokenizer.train(iter(TEXT), options, seed=1).to_bytes() == first.to_bytes()
    assert Tokenizer.train(iter(TEXT), options, seed=2).fingerprint != first.fingerprint


def test_sentences_are_sampled_uniformly_from_a_stream() -> None:
    counts: Counter[int] = Counter()
    for seed in range(3000):
        drawn = sample_sentences(iter(range(20)), 5, seed)
        assert len(set(drawn)) == 5
        counts.update(drawn)
    assert all(abs(counts[item] - 750) < 5 * 24 for item in range(20))
    assert sample_sentences(iter(range(3)), 5, 0) == [0, 1, 2]
    assert sample_sentences(range(100_000), 10, 4) == sample_sentences(range(100_000), 10, 4)


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_vocabulary_that_is_too_large_for_the_text_names_the_maximum(model_type: str) -> None:
    with pytest.raises(TokenizerError, match=r"vocab_size must be at most (\d+).*Received: 9000\. Lower") as caught:
        Tokenizer.train(TEXT[:100], config(vocab_size=9000, model_type=model_type), seed=1)
    limit = int(str(caught.value).split("at most ")[1].split(":")[0])
    assert Tokenizer.train(TEXT[:100], config(vocab_size=limit, model_type=model_type), seed=1).vocab_size == limit


def test_a_vocabulary_that_is_too_small_for_the_characters_names_the_minimum() -> None:
    with pytest.raises(TokenizerError, match=r"must be at least \d+: 256 bytes.*Received: 100\. Raise"):
        Tokenizer.train(TEXT, config(vocab_size=100), seed=1)


def test_other_errors_of_sentencepiece_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise RuntimeError("INTERNAL: no luck")

    monkeypatch.setattr(spm.SentencePieceTrainer, "train", refuse)
    with pytest.raises(TokenizerError, match="could not be trained on this text: INTERNAL: no luck"):
        Tokenizer.train(TEXT, config(), seed=1)


def test_training_on_empty_sentences_is_an_error() -> None:
    with pytest.raises(TokenizerError, match="all sentences are empty"):
        Tokenizer.train(["", "  "], config(), seed=1)


def test_sentencepiece_is_silent(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Tokenizer.train([*TEXT, "x" * 20_000, "a\0b\tc\nd"], config(), seed=1).sample("ba co", 0.1, 3)
    with pytest.raises(TokenizerError):
        Tokenizer.train(TEXT, config(vocab_size=9000), seed=1)
    with pytest.raises(TokenizerError):
        Tokenizer(b"garbage")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
@pytest.mark.parametrize("joiner", [" ", "\u2003", "\n"])
def test_a_long_text_is_learned_from_like_its_sentences(model_type: str, joiner: str) -> None:
    options = config(model_type=model_type, vocab_size=360)
    long = Tokenizer.train([joiner.join(TEXT)], options, seed=1)
    mixed = Tokenizer.train([*TEXT[:700], joiner.join(TEXT[700:])], options, seed=1)
    short = Tokenizer.train(TEXT, options, seed=1)
    assert len(" ".join(TEXT).encode()) > 50_000
    assert set(long.pieces(range(360))) == set(mixed.pieces(range(360))) == set(short.pieces(range(360)))
    for text in TEXT[:50]:
        assert long.pieces(long.encode(text)) == short.pieces(short.encode(text))


def test_a_long_text_without_spaces_is_learned_from() -> None:
    words = "".join(sentences(1500)).replace(" ", "").replace(".", "")
    tokenizer = Tokenizer.train([words, "É" * 30_000], config(vocab_size=330), seed=1)
    assert "É" in tokenizer.pieces(range(330)) and len(tokenizer.encode(words[:100])) < 100


def test_separate_tokenizers_learn_from_long_texts(tmp_path: Path) -> None:
    pair = (" ".join(TEXT), " ".join(text.upper() for text in TEXT))
    tokenizers = Tokenizers.train([pair], config(joint=False), seed=1)
    assert tokenizers.source.encode("ba co") != tokenizers.target.encode("ba co")
