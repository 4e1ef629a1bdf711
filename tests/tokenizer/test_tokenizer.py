from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import sentencepiece as spm
from pages import run_python
from syllables import TEXT, config

from translator.config import TokenizerConfig
from translator.tokenizer import BOS_ID, EOS_ID, UNK_ID, Tokenizer, TokenizerError


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


def test_sentinels_are_tokens_that_occur_in_no_text() -> None:
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


def test_the_examples_of_the_tokenizer_page_run() -> None:
    assert run_python("docs/tokenizer.md") >= 7


def test_only_a_regular_file_is_a_tokenizer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.model")
    (tmp_path / "zero.model").symlink_to("/dev/zero")
    for name in ("fifo.model", "zero.model"):
        with pytest.raises(TokenizerError, match=rf"Received: .*{name} \(not a regular file\)"):
            Tokenizer.load(tmp_path / name)
    with (tmp_path / "huge.model").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TokenizerError, match="larger than the limit of 268,435,456 bytes"):
        Tokenizer.load(tmp_path / "huge.model")
