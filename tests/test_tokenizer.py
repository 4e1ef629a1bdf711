from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import threading
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sentencepiece as spm
from pages import run_python

from translator.config import TokenizerConfig
from translator.tokenizer import (
    BOS_ID,
    EOS_ID,
    UNK_ID,
    Tokenizer,
    TokenizerError,
    Tokenizers,
    draw_sentences,
    standard_rules,
)
from translator.tokenizer.invisible import is_invisible

SYLLABLES = ("ba", "co", "dî", "fé", "gu", "l'a", "mo", "né", "pi", "ru", "ça", "to", "vi", "zè")


def sentences(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [
        " ".join("".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(rng.randint(2, 10))) + "."
        for _ in range(count)
    ]


TEXT = sentences(1500)


def config(**options: Any) -> TokenizerConfig:
    return TokenizerConfig(**({"vocab_size": 340} | options))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXT, config(), seed=1)


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return Tokenizer.train(TEXT, config(model_type="bpe"), seed=1)


@pytest.mark.parametrize("name", ["tokenizer", "bpe"])
def test_any_text_survives_a_round_trip(name: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    for text in [
        TEXT[0],
        "« Où ? » … œuvre, ½ ², ﬁ, ＡＢ, №, ™",
        "😀 👨‍👩‍👧 Ελληνικά العربية 中文 हिन्दी",
        "x" * 500,
        "\ud7ff \uffff",
        "-- “ ” „ ‹ › ‚ — – ′",
    ]:
        ids = tokenizer.encode(text)
        assert UNK_ID not in ids
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    ("written", "rewritten"),
    [
        ("l’été ‘a’ aʼb", "l'été 'a' a'b"),
        ("10\u00a0000\u202f€\u2009!", "10 000 € !"),
        ("\u3000a\u2003b\u205fc", "a b c"),
        ("co\u00adopé\u200brer\ufeff\u2060", "coopérer"),
        ("e\u0301te\u0301 franc\u0327ais", "été français"),
        ("\u0323e\u0302\u0323", "\u0323ệ"),
        ("a\tb\r\nc\x0bd\x00e\x1cf\x85g\u2028h\u2029i", "a b c d e f g h i"),
        ("a \u2581 b", "a b"),
        ("  deux   mots  ", "deux mots"),
        ("👩\u200d💻 می\u200cروم", "👩\u200d💻 می\u200cروم"),
        ("a\ud800b", "a\ufffdb"),
        ("", ""),
        (" \u00a0\t", ""),
    ],
)
def test_standard_normalization_rewrites_typography_and_nothing_else(
    tokenizer: Tokenizer, written: str, rewritten: str
) -> None:
    assert tokenizer.decode(tokenizer.encode(written)) == rewritten
    assert tokenizer.normalize(written) == rewritten


def test_latin_letters_are_composed_as_unicode_composes_them(tokenizer: Tokenizer) -> None:
    composed = [chr(code) for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))]
    for letter in composed:
        for form in ("NFC", "NFD"):
            spelling = unicodedata.normalize(form, letter)
            assert tokenizer.normalize(f"a{spelling}b") == unicodedata.normalize("NFC", f"a{letter}b"), letter
    assert all(
        len(spelling) > 1 or not spelling.isalpha() or spelling == "ʼ" or is_invisible(spelling)
        for spelling in standard_rules()
    )


@pytest.mark.parametrize(
    ("normalization", "expected"), [("nmt_nfkc", "l’a ½".replace("½", "1⁄2")), ("identity", "l’a ½")]
)
def test_sentencepieces_own_normalizations_are_there(normalization: str, expected: str) -> None:
    tokenizer = Tokenizer.train(TEXT, config(normalization=normalization), seed=1)
    assert tokenizer.decode(tokenizer.encode("l’a ½")) == expected


def test_decoding_never_breaks_a_line(tokenizer: Tokenizer) -> None:
    identity = Tokenizer.train(TEXT, config(normalization="identity"), seed=1)
    for character in "\n\r\t\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029":
        assert identity.decode(identity.encode(f"a{character}b")) == "a b"
    newline = next(i for i in range(tokenizer.vocab_size) if tokenizer.pieces([i]) == ["<0x0A>"])
    assert tokenizer.decode([newline, newline]) == "  "


def test_special_ids_are_fixed_and_never_encoded(tokenizer: Tokenizer) -> None:
    assert (UNK_ID, BOS_ID, EOS_ID) == (0, 1, 2) == (tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id)
    assert tokenizer.vocab_size == 340
    assert tokenizer.pieces([0, 1, 2]) == ["<unk>", "<s>", "</s>"]
    assert not {0, 1, 2} & set(tokenizer.encode("<s> </s> <unk> a"))
    assert tokenizer.decode([BOS_ID, *tokenizer.encode("ba"), EOS_ID]) == "ba"


def test_batches_are_encoded_as_single_texts(tokenizer: Tokenizer) -> None:
    texts = [*TEXT[:50], "", "\0", "l’\ud800"]
    single = [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch(texts) == single
    assert [ids.tolist() for ids in tokenizer.encode_arrays(texts)] == single
    assert tokenizer.encode_batch([]) == []


def test_ids_outside_the_vocabulary_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match=r"must be in \[0, 340\)\. Received: 340"):
        tokenizer.decode([5, 340])
    with pytest.raises(TokenizerError, match="Received: -1"):
        tokenizer.pieces([-1])


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_training_is_a_function_of_text_configuration_and_seed(model_type: str) -> None:
    options = config(model_type=model_type, training_sentences=500)
    first = Tokenizer.train(iter(TEXT), options, seed=1)
    assert Tokenizer.train(iter(TEXT), options, seed=1).to_bytes() == first.to_bytes()
    assert Tokenizer.train(iter(TEXT), options, seed=2).fingerprint != first.fingerprint


def test_sentences_are_drawn_uniformly_from_a_stream() -> None:
    counts: Counter[int] = Counter()
    for seed in range(3000):
        drawn = draw_sentences(iter(range(20)), 5, seed)
        assert len(set(drawn)) == 5
        counts.update(drawn)
    assert all(abs(counts[item] - 750) < 5 * 24 for item in range(20))
    assert draw_sentences(iter(range(3)), 5, 0) == [0, 1, 2]
    assert draw_sentences(range(100_000), 10, 4) == draw_sentences(range(100_000), 10, 4)


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_vocabulary_that_the_text_cannot_fill_names_the_limit(model_type: str) -> None:
    with pytest.raises(TokenizerError, match=r"vocab_size must be at most (\d+).*Received: 9000\. Lower") as caught:
        Tokenizer.train(TEXT[:100], config(vocab_size=9000, model_type=model_type), seed=1)
    limit = int(str(caught.value).split("at most ")[1].split(":")[0])
    assert Tokenizer.train(TEXT[:100], config(vocab_size=limit, model_type=model_type), seed=1).vocab_size == limit


def test_a_vocabulary_without_room_for_the_characters_names_the_least() -> None:
    with pytest.raises(TokenizerError, match=r"must be at least \d+: 256 bytes.*Received: 100\. Raise"):
        Tokenizer.train(TEXT, config(vocab_size=100), seed=1)


def test_whatever_else_sentencepiece_refuses_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise RuntimeError("INTERNAL: no luck")

    monkeypatch.setattr(spm.SentencePieceTrainer, "train", refuse)
    with pytest.raises(TokenizerError, match="could not learn from this text: INTERNAL: no luck"):
        Tokenizer.train(TEXT, config(), seed=1)


def test_training_on_nothing_is_an_error() -> None:
    with pytest.raises(TokenizerError, match="no sentence that is not empty"):
        Tokenizer.train(["", "  "], config(), seed=1)


def test_sentencepiece_is_silent(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Tokenizer.train([*TEXT, "x" * 20_000, "a\0b\tc\nd"], config(), seed=1).sample("ba co", 0.1, 3)
    with pytest.raises(TokenizerError):
        Tokenizer.train(TEXT, config(vocab_size=9000), seed=1)
    with pytest.raises(TokenizerError):
        Tokenizer(b"garbage")
    assert capfd.readouterr() == ("", "")


def test_saving_and_loading_gives_the_same_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.model")
    loaded = Tokenizer.load(tmp_path / "tokenizer.model")
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.encode(TEXT[0]) == tokenizer.encode(TEXT[0])
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.model"]
    assert pickle.loads(pickle.dumps(tokenizer)).to_bytes() == tokenizer.to_bytes()


def test_a_failed_save_keeps_the_old_file(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        tokenizer.save(tmp_path / "tokenizer.model")
    assert (tmp_path / "tokenizer.model").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_broken_file_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    with pytest.raises(TokenizerError, match=r"must be a readable file.*No such file"):
        Tokenizer.load(path)
    for content in (b"", b"garbage", tokenizer.to_bytes()[:1000], pickle.dumps({"a": 1})):
        path.write_bytes(content)
        with pytest.raises(TokenizerError, match=f"{path}: A tokenizer must be a SentencePiece model"):
            Tokenizer.load(path)


def test_a_model_with_other_special_ids_is_refused(tmp_path: Path) -> None:
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_prefix=str(tmp_path / "x"), vocab_size=60, pad_id=0, unk_id=3, minloglevel=2
    )
    with pytest.raises(TokenizerError, match=r"unk_id=0, bos_id=1 and eos_id=2. Received: 3, 1 and 2"):
        Tokenizer.load(tmp_path / "x.model")


def test_joint_and_separate_vocabularies_are_saved_under_their_names(tmp_path: Path) -> None:
    pairs = list(zip(TEXT, (text.upper() for text in TEXT), strict=True))
    joint = Tokenizers.train(iter(pairs), config(), seed=1)
    separate = Tokenizers.train(iter(pairs), config(joint=False), seed=1)
    assert joint.is_joint and not separate.is_joint
    assert joint.fingerprint != separate.fingerprint
    for name, tokenizers, files in (
        ("joint", joint, {"tokenizer.model"}),
        ("separate", separate, {"source.model", "target.model"}),
    ):
        (tmp_path / name).mkdir()
        assert not Tokenizers.exist(tmp_path / name)
        with pytest.raises(TokenizerError, match=r"must be tokenizer.model, or source.model and target.model"):
            Tokenizers.load(tmp_path / name)
        tokenizers.save(tmp_path / name)
        assert Tokenizers.exist(tmp_path / name)
        assert {path.name for path in (tmp_path / name).iterdir()} == files
        loaded = Tokenizers.load(tmp_path / name)
        assert loaded.is_joint == tokenizers.is_joint
        assert loaded.fingerprint == tokenizers.fingerprint
    (tmp_path / "separate" / "target.model").unlink()
    with pytest.raises(TokenizerError, match="without them"):
        Tokenizers.load(tmp_path / "separate")


@pytest.mark.parametrize(("name", "best"), [("tokenizer", 500.0), ("bpe", 0.0)])
def test_at_the_limit_a_draw_is_the_best_split(name: str, best: float, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    same = sum(tokenizer.sample(text, best, seed=1) == tokenizer.encode(text) for text in TEXT[:300])
    assert same >= (300 if name == "bpe" else 290)  # unigram splits can tie
    assert tokenizer.sample("é😀 «", best, seed=1) == tokenizer.encode("é😀 «")


@pytest.mark.parametrize("name", ["tokenizer", "bpe"])
def test_draws_differ_by_seed_and_always_spell_the_text(name: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    text = TEXT[3] + " l’œuvre 😀"
    draws = [tokenizer.sample(text, 0.2, seed) for seed in range(50)]
    assert len({tuple(ids) for ids in draws}) > 25
    assert {tokenizer.decode(ids) for ids in draws} == {tokenizer.decode(tokenizer.encode(text))}
    assert tokenizer.sample("", 0.2, 1) == []


@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_unigram_draws_have_sentencepieces_distribution(tokenizer: Tokenizer, alpha: float) -> None:
    processor = spm.SentencePieceProcessor(model_proto=tokenizer.to_bytes())
    text, count = "conél'apiru 漢", 6000
    ours = Counter(tuple(tokenizer.sample(text, alpha, seed)) for seed in range(count))
    theirs = Counter(
        tuple(processor.encode(text, enable_sampling=True, alpha=alpha, nbest_size=-1)) for _ in range(count)
    )
    distance = sum(abs(ours[split] - theirs[split]) for split in {*ours, *theirs}) / (2 * count)
    expected = 0.4 * (len({*ours, *theirs}) / (count / 2)) ** 0.5  # of two samples of one distribution, about
    assert distance < 1.5 * expected


DRAWS = """
import sys
from translator.tokenizer import Tokenizer
tokenizer = Tokenizer.load(sys.argv[1])
print([tokenizer.sample("bafé pimo l'ara to ru vico", 0.1, seed) for seed in range(200)])
"""


@pytest.mark.parametrize("name", ["tokenizer", "bpe"])
def test_a_draw_is_the_same_in_every_process_and_thread(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    tokenizer.save(tmp_path / "x.model")

    def draw() -> list[list[int]]:
        return [tokenizer.sample("bafé pimo l'ara to ru vico", 0.1, seed) for seed in range(200)]

    here = draw()
    results: list[list[list[int]]] = []
    threads = [threading.Thread(target=lambda: results.append(draw())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [here] * 3
    command = [sys.executable, "-c", DRAWS, str(tmp_path / "x.model")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert answer.stdout.strip() == str(here)


def test_pieces_across_words_cannot_be_sampled(tmp_path: Path) -> None:
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(["ba co ba co ba co"] * 50),
        model_prefix=str(tmp_path / "x"),
        vocab_size=12,
        hard_vocab_limit=False,
        split_by_whitespace=False,
        minloglevel=2,
    )
    tokenizer = Tokenizer.load(tmp_path / "x.model")
    with pytest.raises(TokenizerError, match="pieces that do not reach across words"):
        tokenizer.sample("ba co", 0.1, 1)


def test_sentinels_are_pieces_that_no_text_holds() -> None:
    texts = ["un chat mange du pain <hidden_0> ici", "a cat eats bread <hidden_1> here"] * 20
    nouns, verbs = ("le chien", "la vache", "mon frère"), ("dort", "court", "joue")
    places = ("dans la maison", "sous le grand arbre", "au bord de la mer", "près du vieux jardin")
    more = [f"{noun} {verb} {place}" for noun in nouns for verb in verbs for place in places]
    tokenizer = Tokenizer.train(texts + more, TokenizerConfig(vocab_size=300, sentinels=3), seed=1)
    plain = Tokenizer.train(texts + more, TokenizerConfig(vocab_size=300), seed=1)
    assert tokenizer.pieces(tokenizer.sentinels) == ["<hidden_0>", "<hidden_1>", "<hidden_2>"]
    assert plain.sentinels == ()
    for text in texts[:2]:
        assert not set(tokenizer.encode(text)) & set(tokenizer.sentinels)
        assert not set(tokenizer.sample(text, 0.1, 1)) & set(tokenizer.sentinels)
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert Tokenizer(tokenizer.to_bytes()).sentinels == tokenizer.sentinels


def test_the_examples_of_its_page_run() -> None:
    assert run_python("docs/tokenizer.md") >= 7
