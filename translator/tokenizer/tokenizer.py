"""One SentencePiece model: encoding, subword sampling and decoding (Kudo and Richardson, 2018)."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import sentencepiece as spm

from translator.atomic_io import atomic_write
from translator.config import TokenizerConfig
from translator.file_input import read_regular_file
from translator.tokenizer.normalization import CONTROLS_TO_SPACES, SPACE_MARK, encodable
from translator.tokenizer.sampling import BpeSampler, UnigramSampler
from translator.tokenizer.training import sample_sentences, train_model
from translator.tokenizer.vocabulary import BOS_ID, EOS_ID, SENTINEL, UNK_ID, TokenizerError

_MAX_FILE_SIZE = 1 << 28  # bytes; models of a million pieces have about a tenth
_WORD = re.compile(f"{SPACE_MARK}[^{SPACE_MARK}]*|[^{SPACE_MARK}]+")


class Tokenizer:
    """One SentencePiece model.

    Attributes:
        vocab_size: number of pieces.
        fingerprint: SHA-256 of the model, in hexadecimal.
        unk_id: id of the unknown token; with byte fallback no text needs it.
        bos_id: id of the begin-of-sentence token.
        eos_id: id of the end-of-sentence token.
        sentinels: ids of the sentinel tokens, which occur in no text; the first is the mask.
    """

    unk_id = UNK_ID
    bos_id = BOS_ID
    eos_id = EOS_ID

    def __init__(self, model: bytes) -> None:
        """Create a tokenizer from a serialized SentencePiece model.

        Raises:
            TokenizerError: if it is not a SentencePiece model, or its special ids differ from `UNK_ID`, `BOS_ID` and
                `EOS_ID`.
        """
        spm.set_min_log_level(3)
        self._processor = _load(model)
        self._model = model
        self._sampler: tuple[float, UnigramSampler | BpeSampler] | None = None
        self._generator = _Generator()
        self.vocab_size: int = self._processor.vocab_size()
        self.sentinels = _sentinels(self._processor)
        self.fingerprint = hashlib.sha256(model).hexdigest()

    @classmethod
    def train(cls, sentences: Iterable[str], config: TokenizerConfig, seed: int) -> Tokenizer:
        """Train a tokenizer.

        Args:
            sentences: the text, read once; at most `config.training_sentences` sentences, sampled at random, are held
                in memory.
            config: size and kind of the vocabulary.
            seed: random seed of the sample; the same text, configuration and seed give the same tokenizer.

        Raises:
            TokenizerError: if there is no text, or if `vocab_size` does not suit it.
        """
        return cls(train_model(sample_sentences(sentences, config.training_sentences, seed), config))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a tokenizer from a SentencePiece model file.

        Raises:
            TokenizerError: if the file cannot be read or is not a SentencePiece model.
        """
        try:
            model = read_regular_file(Path(path), _MAX_FILE_SIZE)
        except OSError as error:
            raise TokenizerError(
                f"A tokenizer must be a readable file. Received: {path} ({error.strerror})."
            ) from error
        try:
            return cls(model)
        except TokenizerError as error:
            raise TokenizerError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the model file atomically."""
        atomic_write(Path(path), self._model)

    def to_bytes(self) -> bytes:
        """Return the serialized SentencePiece model."""
        return self._model

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[bytes]]:
        return Tokenizer, (self._model,)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without special tokens; a text of spaces only has none."""
        ids: list[int] = self._processor.encode(encodable(text), return_type=int)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, as from `encode`, computed on all cores."""
        if len(texts) == 1:  # starting a thread takes longer than encoding a text
            return [self.encode(texts[0])]
        ids: list[list[int]] = self._processor.encode([encodable(text) for text in texts], return_type=int)
        return ids

    def encode_arrays(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of each text, as from `encode`, as int32 arrays `(num_pieces,)`."""
        ids: list[np.ndarray] = self._processor.encode([encodable(text) for text in texts], return_type="numpy")
        return ids

    def sample(self, text: str, alpha: float, seed: int) -> list[int]:
        """Return the ids of a random segmentation of a text. It depends on the arguments only, not on the process.

        Args:
            text: the text.
            alpha: for a unigram model, sharpness of the distribution over segmentations, of which a smaller value
                gives more variation (Kudo, 2018); for byte-pair encoding, probability that a merge is left out, of
                which a larger value gives more variation (Provilkov et al., 2020).
            seed: random seed.
        """
        known = self._sampler
        if known is None or known[0] != alpha:
            known = self._sampler = alpha, self._make_sampler(alpha)
        words: list[str] = _WORD.findall(self._processor.normalize(encodable(text)))
        generator = self._generator.random
        generator.seed(seed)
        return known[1].sample(words, generator)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of these ids on one line: control characters and line separators become spaces.

        Raises:
            TokenizerError: if an id is not in the vocabulary.
        """
        text: str = self._processor.decode(self._checked(ids))
        return text.translate(CONTROLS_TO_SPACES)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return the piece of each id as text, in which `▁` stands for a space.

        Raises:
            TokenizerError: if an id is not in the vocabulary.
        """
        return [self._processor.id_to_piece(index) for index in self._checked(ids)]

    def normalize(self, text: str) -> str:
        """Return the normalized text, as its pieces spell it."""
        normalized: str = self._processor.normalize(encodable(text))
        return normalized.replace(SPACE_MARK, " ").strip(" ")

    def _make_sampler(self, alpha: float) -> UnigramSampler | BpeSampler:
        """Return a sampler of segmentations into the pieces of this model."""
        processor = self._processor
        ids = range(self.vocab_size)
        special = [processor.is_control(i) or processor.is_unknown(i) or processor.is_unused(i) for i in ids]
        pieces = {processor.id_to_piece(i): i for i in ids if not special[i] and not processor.is_byte(i)}
        if any(SPACE_MARK in piece[1:] for piece in pieces):
            raise TokenizerError(
                "Subword sampling requires pieces within words, and this model has pieces that contain a space. "
                "Set tokenizer.sampling_alpha=0."
            )
        byte_ids = [processor.piece_to_id(f"<0x{byte:02X}>") for byte in range(256)]
        scores = [processor.get_score(i) for i in ids]
        # The scores of BPE pieces are their ranks: 0, -1, -2, …
        is_bpe = all(scores[i].is_integer() for i in pieces.values())
        return (BpeSampler if is_bpe else UnigramSampler)(pieces, scores, byte_ids, alpha)

    def _checked(self, ids: Iterable[int]) -> list[int]:
        """Return the ids as Python integers, after a check that all are in the vocabulary."""
        numbers = [int(index) for index in ids]
        for index in numbers:
            if not 0 <= index < self.vocab_size:
                raise TokenizerError(f"An id must be in [0, {self.vocab_size}). Received: {index}.")
        return numbers


class _Generator(threading.local):
    """A generator of its own for each thread, to be reseeded for each sample: creating one seeds it twice."""

    def __init__(self) -> None:
        self.random = random.Random()


def _load(model: bytes) -> spm.SentencePieceProcessor:
    """Return a processor for a serialized model that has the special ids of this project."""
    processor = spm.SentencePieceProcessor()
    try:
        if not model:
            raise RuntimeError("it is empty")
        processor.LoadFromSerializedProto(model)
    except RuntimeError as error:
        raise TokenizerError(
            "A tokenizer must be a SentencePiece model. Received: data of another kind, or incomplete. "
            "Restore the file, or delete it and train again."
        ) from error
    special = (processor.unk_id(), processor.bos_id(), processor.eos_id())
    if special != (UNK_ID, BOS_ID, EOS_ID):
        raise TokenizerError(
            f"A tokenizer must have unk_id={UNK_ID}, bos_id={BOS_ID} and eos_id={EOS_ID}. "
            f"Received: {special[0]}, {special[1]} and {special[2]}."
        )
    return processor


def _sentinels(processor: spm.SentencePieceProcessor) -> tuple[int, ...]:
    """Return the ids of the sentinel tokens of a model, in their order."""
    ids = itertools.takewhile(
        processor.is_control, (processor.piece_to_id(SENTINEL.format(number)) for number in itertools.count())
    )
    return tuple(ids)
