"""Initialization of embeddings from word vectors, in the text format of word2vec, fastText and GloVe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from translator.config import UserError
from translator.file_input import expand_user, open_text
from translator.model.embedding import TokenEmbedding
from translator.tokenizer import Tokenizer

_WORD_START = "\u2581"  # SentencePiece's mark of a space


class VectorsError(UserError):
    """A file of word vectors that cannot be used."""


def start_from_vectors(embedding: TokenEmbedding, tokenizer: Tokenizer, path: str) -> int:
    """Set the embedding of each token that is a whole word to the vector of that word. The others stay random.

    A token is a word if it begins one: `▁maison` is `maison`, or else a word that differs in case alone. The vectors
    are scaled together to the size of random embeddings, which the model's scaling by sqrt(d_model) expects.

    Args:
        embedding: embedding of the tokens; changed in place.
        tokenizer: tokenizer whose vocabulary is looked up.
        path: `.vec` or `.txt`, possibly compressed: a word and its numbers per line, after an optional line
            `count dimension`.

    Returns:
        The number of tokens with a vector.

    Raises:
        VectorsError: if the file cannot be read, has an invalid line or another dimension, or shares no word.
    """
    words = {
        piece.removeprefix(_WORD_START): index
        for index, piece in enumerate(tokenizer.pieces(range(tokenizer.vocab_size)))
        if piece.startswith(_WORD_START) and len(piece) > 1
    }
    folded: dict[str, list[str]] = {}
    for word in words:
        folded.setdefault(word.casefold(), []).append(word)
    d_model = embedding.weight.shape[1]
    exact: dict[int, Tensor] = {}
    similar: dict[int, Tensor] = {}
    for word, vector in _read(expand_user(path), d_model):
        if word in words:
            exact[words[word]] = vector
        for cousin in folded.get(word.casefold(), []):
            similar.setdefault(words[cousin], vector)
    found = similar | exact
    if not found:
        raise VectorsError(
            f"Word vectors must share words with the vocabulary. Received: {path}, which shares none. "
            "Use vectors of the same language and spelling."
        )
    rows = torch.tensor(sorted(found))
    vectors = torch.stack([found[int(row)] for row in rows])
    spread = vectors.square().mean().sqrt()
    with torch.no_grad():
        embedding.weight[rows] = (vectors * (d_model**-0.5 / spread.clamp(min=1e-12))).to(embedding.weight)
    return len(found)


def _read(path: Path, d_model: int) -> Iterator[tuple[str, Tensor]]:
    """Yield words and their vectors `(d_model,)`."""
    try:
        with io.TextIOWrapper(open_text(path), encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                word, *numbers = line.rstrip().split(" ")
                if number == 1 and len(numbers) == 1 and word.isdigit():
                    continue
                if len(numbers) != d_model:
                    raise VectorsError(
                        f"Word vectors must have d_model={d_model} numbers per line. "
                        f"Received: {path}, line {number} with {len(numbers)}. Choose model.d_model to match."
                    )
                try:
                    yield word, torch.tensor([float(text) for text in numbers])
                except ValueError as error:
                    raise VectorsError(
                        f"A line of word vectors must be a word and numbers. Received: {path}, line {number}: {error}."
                    ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise VectorsError(f"Word vectors must be a readable text file. Received: {path} ({error}).") from error
