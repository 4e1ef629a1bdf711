"""Embeddings that start from word vectors."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from translator.model.embedding import TokenEmbedding
from translator.tokenizer import Tokenizer, Tokenizers
from translator.training.vectors import VectorsError, start_from_vectors

D_MODEL = 4


@pytest.fixture
def tokenizer(tokenizers: Tokenizers) -> Tokenizer:
    return tokenizers.source


def whole_words(tokenizer: Tokenizer) -> list[str]:
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    words = [piece[1:] for piece in pieces if piece.startswith("▁") and piece[1:].isalpha()]
    folded = [word.casefold() for word in words]
    return [word for word in words if folded.count(word.casefold()) == 1]


def index_of(tokenizer: Tokenizer, word: str) -> int:
    return tokenizer.pieces(range(tokenizer.vocab_size)).index("▁" + word)


@pytest.mark.parametrize("suffix", [".vec", ".vec.gz"])
def test_pieces_that_are_words_get_their_vectors_and_others_stay(
    tokenizer: Tokenizer, tmp_path: Path, suffix: str
) -> None:
    first, second, third = whole_words(tokenizer)[:3]
    text = f"3 {D_MODEL}\n{first} 1 2 3 4\n{second.upper()} -4 -3 -2 -1\nnowhere 9 9 9 9\n"
    path = tmp_path / f"words{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    embedding = TokenEmbedding(tokenizer.vocab_size, D_MODEL)
    before = embedding.weight.detach().clone()
    assert start_from_vectors(embedding, tokenizer, str(path)) == 2
    rows = embedding.weight.detach()
    found = rows[[index_of(tokenizer, first), index_of(tokenizer, second)]]
    torch.testing.assert_close(found[0] / found[0, 0], torch.tensor([1.0, 2.0, 3.0, 4.0]))
    torch.testing.assert_close(found[1] / found[1, 3], torch.tensor([4.0, 3.0, 2.0, 1.0]))
    assert float(found.square().mean().sqrt()) == pytest.approx(D_MODEL**-0.5)
    assert torch.equal(rows[index_of(tokenizer, third)], before[index_of(tokenizer, third)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("le 1 2 3\n", "must have d_model=4 numbers per line.*line 1 with 3"),
        ("le 1 2 3 4\nchat 1 2 x 4\n", "must be a word and numbers.*line 2"),
        ("qqqq 1 2 3 4\n", "must share words"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tokenizer: Tokenizer, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "words.vec"
    path.write_text(text)
    with pytest.raises(VectorsError, match=message):
        start_from_vectors(TokenEmbedding(tokenizer.vocab_size, D_MODEL), tokenizer, str(path))


def test_a_file_that_is_not_there_or_no_text_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    embedding = TokenEmbedding(tokenizer.vocab_size, D_MODEL)
    (tmp_path / "binary.vec").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.vec", "binary.vec"):
        with pytest.raises(VectorsError, match="must be a readable text file"):
            start_from_vectors(embedding, tokenizer, str(tmp_path / name))


@pytest.mark.parametrize("encode", [lzma.compress, lambda content: content.decode().encode("utf-16")])
def test_vectors_may_be_compressed_or_utf16(
    tokenizer: Tokenizer, tmp_path: Path, encode: Callable[[bytes], bytes]
) -> None:
    word = whole_words(tokenizer)[0]
    (tmp_path / "words.vec").write_bytes(encode(f"{word} {' '.join(['0.5'] * D_MODEL)}\n".encode()))
    embedding = TokenEmbedding(tokenizer.vocab_size, D_MODEL)
    assert start_from_vectors(embedding, tokenizer, str(tmp_path / "words.vec")) >= 1
