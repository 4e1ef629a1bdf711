"""Token embeddings: nearest neighbors, angles, projections, and encodings of one word in several sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from translator.inference.translator import Translator
from translator.inspection.reading import (
    InspectionError,
    as_text,
    encoder_decoder,
    is_special,
    read_sentence,
    spaced_groups,
    spell,
)
from translator.packing import Packed
from translator.tokenizer import EOS_ID

Side = Literal["source", "target"]


@dataclass(frozen=True)
class Neighbour:
    """A nearest neighbor of a word.

    Attributes:
        piece: token of the vocabulary; a leading `▁` is a space.
        cosine: cosine of the angle between the two vectors, from -1 to 1.
    """

    piece: str
    cosine: float


@dataclass(frozen=True)
class Angle:
    """Angle between the vectors of two words.

    Attributes:
        cosine: from -1 to 1.
        degrees: from 0 to 180.
    """

    cosine: float
    degrees: float


@dataclass(frozen=True, eq=False)
class Projection:
    """Principal components of words.

    Attributes:
        words: the words, without duplicates.
        points: `(num_words, dimensions)` float32.
        explained: fraction of the variance along each dimension.
    """

    words: tuple[str, ...]
    points: NDArray[np.float32]
    explained: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Contexts:
    """A word in several sentences.

    Attributes:
        word: the word.
        sentences: sentences that contain it.
        embeddings: cosines between its embeddings, `(num_sentences, num_sentences)`: all 1 for equal tokens, since the
            embedding does not depend on the sentence.
        encodings: cosines between its encodings, the encoder outputs at its position, `(num_sentences, num_sentences)`.
        to_embedding: cosine of each encoding with the embedding.
    """

    word: str
    sentences: tuple[str, ...]
    embeddings: NDArray[np.float32]
    encodings: NDArray[np.float32]
    to_embedding: tuple[float, ...]


class Embeddings:
    """Queries of an embedding matrix by word.

    Args:
        translator: translator with an encoder-decoder model.
        side: `source` or `target`; the same matrix if embeddings are tied.
        is_mean: use the mean of the tokens' vectors for a word of several tokens; otherwise such a word is refused.
    """

    def __init__(self, translator: Translator, side: Side = "source", *, is_mean: bool = False) -> None:
        self._translator = translator
        self._model, self._device = encoder_decoder(translator)
        self._is_mean = is_mean
        is_source = side == "source"
        self._tokenizer = translator.tokenizers.source if is_source else translator.tokenizers.target
        embedding = self._model.source_embedding if is_source else self._model.target_embedding
        self._weight = embedding.weight.detach().float()  # (vocab_size, d_model)
        self._pieces = self._tokenizer.pieces(range(self._tokenizer.vocab_size))

    def vector(self, word: str) -> Tensor:
        """Return the vector of a word or token, `(d_model,)` float32.

        Raises:
            InspectionError: if the word is not a single token.
        """
        return self._weight[self._ids(word)].mean(dim=0)

    def nearest(self, word: str, count: int = 10, *, is_whole_words: bool = False) -> list[Neighbour]:
        """Return the tokens with the smallest angles to a word, nearest first, without the word's own.

        Args:
            word: a word or token.
            count: number of neighbors.
            is_whole_words: return only tokens that start a word. Byte tokens and special tokens are never returned.

        Raises:
            InspectionError: if the word is not in the vocabulary, or `count` is less than 1.
        """
        if count < 1:
            raise InspectionError(f"count must be at least 1. Received: {count}.")
        own = self._ids(word)
        cosines = F.cosine_similarity(self._weight, self._weight[own].mean(dim=0)[None], dim=-1)
        order = cosines.sort(descending=True, stable=True).indices.tolist()
        shown = [index for index in order if index not in own and self._is_shown(index, is_whole_words)]
        return [Neighbour(self._pieces[index], float(cosines[index])) for index in shown[:count]]

    def angle(self, first: str, second: str) -> Angle:
        """Return the angle between the vectors of two words.

        Raises:
            InspectionError: if a word is not in the vocabulary.
        """
        a, b = (self._weight[ids].mean(dim=0).double() for ids in self._all_ids([first, second]))
        cosine = float(F.cosine_similarity(a, b, dim=0).clamp(-1, 1))
        # The arc tangent is accurate for small angles.
        a, b = F.normalize(a, dim=0), F.normalize(b, dim=0)
        return Angle(cosine, float(torch.rad2deg(2 * torch.atan2((a - b).norm(), (a + b).norm()))))

    def projection(self, words: Sequence[str], dimensions: int = 2) -> Projection:
        """Project words to their first 2 or 3 principal components.

        Raises:
            InspectionError: if a word is not in the vocabulary, there are too few different words, or `dimensions` is
                not 2 or 3.
        """
        if dimensions not in (2, 3):
            raise InspectionError(f"dimensions must be 2 or 3. Received: {dimensions}.")
        words = list(dict.fromkeys(as_text(word) for word in words))
        if len(words) <= dimensions:
            raise InspectionError(
                f"A projection to {dimensions} dimensions requires at least {dimensions + 1} words. "
                f"Received: {len(words)}."
            )
        vectors = torch.stack([self._weight[ids].mean(dim=0) for ids in self._all_ids(words)])
        centered = (vectors - vectors.mean(dim=0)).double().cpu()
        left, sizes, _ = torch.linalg.svd(centered, full_matrices=False)
        left, sizes = left[:, :dimensions], sizes
        # The sign of a component is arbitrary: the largest entry is made positive, so that pictures are reproducible.
        signs = left.gather(0, left.abs().argmax(dim=0, keepdim=True)).sign()
        points = left * signs * sizes[:dimensions]
        fractions = sizes.square() / sizes.square().sum().clamp(min=1e-30)
        return Projection(tuple(words), points.float().numpy(), tuple(fractions[:dimensions].tolist()))

    @torch.inference_mode()
    def contexts(self, word: str, sentences: Sequence[str]) -> Contexts:
        """Compare the embedding of a word with its encodings in several sentences.

        The embedding and the encoding of a word of several tokens are the means over its tokens.

        Args:
            word: word of the source language.
            sentences: sentences that contain the word; its first occurrence is used.

        Raises:
            InspectionError: if a sentence does not contain the word, or there are no sentences.
        """
        word = as_text(word)
        if not sentences:
            raise InspectionError("A word in context requires at least one sentence.")
        texts, static, encoded = [], [], []
        for sentence in sentences:
            text, ids = read_sentence(self._translator, sentence)
            place = self._place(word, text, ids)
            source = Packed.from_sequences([[*ids, EOS_ID]]).to(self._device)
            texts.append(text)
            static.append(self._model.source_embedding(source.values)[place].float().mean(dim=0))
            encoded.append(self._model.encode(source)[place].float().mean(dim=0))
        embeddings, encodings = (F.normalize(torch.stack(x), dim=-1) for x in (static, encoded))
        return Contexts(
            word=word,
            sentences=tuple(texts),
            embeddings=(embeddings @ embeddings.T).cpu().numpy(),
            encodings=(encodings @ encodings.T).cpu().numpy(),
            to_embedding=tuple((embeddings * encodings).sum(dim=-1).tolist()),
        )

    def _place(self, word: str, sentence: str, ids: Sequence[int]) -> list[int]:
        """Return the indices of a word's tokens in a sentence, without punctuation and elided words around it."""
        pieces = self._translator.tokenizers.source.pieces(ids)
        wanted = self._translator.tokenizers.source.normalize(word).casefold()
        for group in spaced_groups(pieces):
            for start in range(len(group)):
                for end in range(len(group), start, -1):
                    part = group[start:end]
                    if wanted and spell([pieces[index] for index in part]).casefold() == wanted:
                        return part
        raise InspectionError(
            f"Each sentence must contain the word {word!r}. Received: {sentence!r}, with the tokens {' '.join(pieces)}."
        )

    def _is_shown(self, index: int, is_whole_words: bool) -> bool:
        piece = self._pieces[index]
        is_byte = len(piece) == 6 and piece.startswith("<0x")
        return not is_special(piece) and not is_byte and (piece.startswith("\u2581") or not is_whole_words)

    def _ids(self, word: str) -> list[int]:
        return self._all_ids([word])[0]

    def _all_ids(self, words: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each word: one, or several with `is_mean`. The error names all missing words."""
        found = [self._lookup(as_text(word)) for word in words]
        missing = [(word, ids) for word, ids in zip(words, found, strict=True) if not ids or len(ids) > 1]
        if missing and not (self._is_mean and all(ids for _, ids in missing)):
            named = "; ".join(
                f"{as_text(word)!r}, which is {' '.join(self._tokenizer.pieces(ids)) or 'nothing'}"
                for word, ids in missing
            )
            raise InspectionError(
                f"A word must be one token of the vocabulary. Received: {named}. "
                "Use a single token, or the mean of the tokens (--mean)."
            )
        return found

    def _lookup(self, word: str) -> list[int]:
        """Return the token ids of a word. A token that the tokenizer never produces alone is found by its spelling."""
        ids = self._tokenizer.encode(word)
        is_word = len(ids) == 1
        return [self._pieces.index(word)] if not is_word and word in self._pieces else ids
