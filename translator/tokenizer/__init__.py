"""SentencePiece: train, encode (with subword sampling), decode, and the ids that mean something.

Text goes in raw: SentencePiece rewrites typography, splits and keeps what it needs to put the text together again
(Kudo and Richardson, 2018). docs/tokenizer.md says exactly what the `standard` normalization rewrites.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import math
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece as spm

from translator.atomic_io import write_whole
from translator.config import TokenizerConfig, UserError
from translator.tokenizer.invisible import JOINERS, is_invisible, remove_invisible
from translator.tokenizer.sampling import BpeSampler, UnigramSampler

UNK_ID = 0
BOS_ID = 1
EOS_ID = 2

_SENTINEL = "<hidden_{}>"

# The counts of unigram training are summed thread by thread: the number of threads is part of the result.
_TRAINING_THREADS = 4
_LONGEST_TRAINING_SENTENCE = 10_000  # bytes; SentencePiece leaves out longer ones

_APOSTROPHES = "\u2018\u2019\u02bc"
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_LINE_SEPARATORS = "\u2028\u2029"
_CONTROLS = "".join(map(chr, [*range(1, 0x20), *range(0x7F, 0xA0)]))  # NUL is replaced before SentencePiece sees it
_SPACE_MARK = "\u2581"  # what SentencePiece writes for a space: it could not be told from one

# Byte pieces can spell a control character that no text held; none may break a line or a column of the output.
_TO_SPACE = {ord(character): " " for character in "\0" + _CONTROLS + _LINE_SEPARATORS}
_WORD = re.compile(f"{_SPACE_MARK}[^{_SPACE_MARK}]*|[^{_SPACE_MARK}]+")
_SURROGATES = re.compile("[\ud800-\udfff]")


class TokenizerError(UserError):
    """A tokenizer that cannot be trained, read or used as asked."""


class Tokenizer:
    """One SentencePiece model.

    Attributes:
        vocab_size: number of pieces.
        fingerprint: SHA-256 of the model, in hexadecimal.
        unk_id: the unknown piece; with byte fallback no text needs it.
        bos_id: begin of sentence.
        eos_id: end of sentence.
        sentinels: ids of the pieces that no text holds and that stand for something hidden; the first is the mask.
    """

    unk_id = UNK_ID
    bos_id = BOS_ID
    eos_id = EOS_ID

    def __init__(self, model: bytes) -> None:
        """Make a tokenizer from a serialized SentencePiece model.

        Raises:
            TokenizerError: it is none, or its special ids are not those of this project.
        """
        spm.set_min_log_level(3)
        self._processor = _load(model)
        self._model = model
        self._sampler: tuple[float, UnigramSampler | BpeSampler] | None = None
        self._generator = random.Random()  # seeded anew for each draw: a new generator is seeded twice as it is made
        self.vocab_size: int = self._processor.vocab_size()
        self.sentinels = _sentinels(self._processor)
        self.fingerprint = hashlib.sha256(model).hexdigest()

    @classmethod
    def train(cls, sentences: Iterable[str], config: TokenizerConfig, seed: int) -> Tokenizer:
        """Learn pieces from text.

        Args:
            sentences: read once; at most `config.training_sentences` of them, drawn at random, are held in memory.
            config: what to learn.
            seed: of the draw; the same text, configuration and seed give the same tokenizer.

        Raises:
            TokenizerError: there is no text, or `vocab_size` does not suit it.
        """
        sample = draw_sentences(sentences, config.training_sentences, seed)
        return cls(_train(sample, config))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a tokenizer from a SentencePiece model file.

        Raises:
            TokenizerError: the file cannot be read or is not one.
        """
        try:
            model = Path(path).read_bytes()
        except OSError as error:
            raise TokenizerError(
                f"A tokenizer must be a readable file. Received: {path} ({error.strerror})."
            ) from error
        try:
            return cls(model)
        except TokenizerError as error:
            raise TokenizerError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the model file, whole or not at all."""
        write_whole(Path(path), self._model)

    def to_bytes(self) -> bytes:
        """The serialized SentencePiece model."""
        return self._model

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[bytes]]:
        return Tokenizer, (self._model,)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without special ids; a text of nothing but spaces has none."""
        ids: list[int] = self._processor.encode(_encodable(text), return_type=int)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, as `encode` gives them, on all cores."""
        ids: list[list[int]] = self._processor.encode([_encodable(text) for text in texts], return_type=int)
        return ids

    def encode_arrays(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, as `encode` gives them: int32 arrays `(num_pieces,)`."""
        ids: list[np.ndarray] = self._processor.encode([_encodable(text) for text in texts], return_type="numpy")
        return ids

    def sample(self, text: str, alpha: float, seed: int) -> list[int]:
        """Draw one of the ways to split a text: a function of the arguments, in whatever process.

        Args:
            text: what to split.
            alpha: unigram: sharpness of the draw over all splits, smaller is more varied (Kudo, 2018); BPE: probability
                that a merge is left out, larger is more varied (Provilkov et al., 2020).
            seed: of the draw.
        """
        if self._sampler is None or self._sampler[0] != alpha:
            self._sampler = alpha, self._make_sampler(alpha)
        words: list[str] = _WORD.findall(self._processor.normalize(_encodable(text)))
        self._generator.seed(seed)
        return self._sampler[1].draw(words, self._generator)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids, on one line: control characters and line separators become spaces.

        Raises:
            TokenizerError: an id is not in the vocabulary.
        """
        text: str = self._processor.decode(self._checked(ids))
        return text.translate(_TO_SPACE)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The pieces of these ids, as text: a leading `▁` stands for a space.

        Raises:
            TokenizerError: an id is not in the vocabulary.
        """
        return [self._processor.id_to_piece(index) for index in self._checked(ids)]

    def normalize(self, text: str) -> str:
        """The text as the pieces spell it, after normalization."""
        normalized: str = self._processor.normalize(_encodable(text))
        return normalized.replace(_SPACE_MARK, " ").strip(" ")

    def _make_sampler(self, alpha: float) -> UnigramSampler | BpeSampler:
        """Draws splits with this model's pieces."""
        processor = self._processor
        ids = range(self.vocab_size)
        special = [processor.is_control(i) or processor.is_unknown(i) or processor.is_unused(i) for i in ids]
        pieces = {processor.id_to_piece(i): i for i in ids if not special[i] and not processor.is_byte(i)}
        if any(_SPACE_MARK in piece[1:] for piece in pieces):
            raise TokenizerError(
                "Subword sampling needs pieces that do not reach across words. Received: a model that has some. "
                "Set tokenizer.sampling_alpha=0."
            )
        byte_ids = [processor.piece_to_id(f"<0x{byte:02X}>") for byte in range(256)]
        scores = [processor.get_score(i) for i in ids]
        # The scores of BPE pieces are their ranks: 0, -1, -2, …
        is_bpe = all(scores[i].is_integer() for i in pieces.values())
        return (BpeSampler if is_bpe else UnigramSampler)(pieces, scores, byte_ids, alpha)

    def _checked(self, ids: Iterable[int]) -> list[int]:
        """The ids as plain integers, all of them in the vocabulary."""
        numbers = [int(index) for index in ids]
        for index in numbers:
            if not 0 <= index < self.vocab_size:
                raise TokenizerError(f"An id must be in [0, {self.vocab_size}). Received: {index}.")
        return numbers


@dataclass(frozen=True)
class Tokenizers:
    """The tokenizers of both languages; one and the same object when the vocabulary is joint."""

    source: Tokenizer
    target: Tokenizer

    @property
    def is_joint(self) -> bool:
        """Whether both languages share one vocabulary."""
        return self.source is self.target

    @property
    def fingerprint(self) -> str:
        """SHA-256 over both models, in hexadecimal."""
        return hashlib.sha256(f"{self.source.fingerprint} {self.target.fingerprint}".encode()).hexdigest()

    @classmethod
    def train(cls, rows: Iterable[tuple[str, ...]], config: TokenizerConfig, seed: int) -> Tokenizers:
        """Learn one joint tokenizer from all texts of the rows, or one for each side of pairs, in one pass.

        Raises:
            TokenizerError: there is no text, or `vocab_size` does not suit it.
        """
        if config.joint:
            joint = Tokenizer.train(itertools.chain.from_iterable(rows), config, seed)
            return cls(joint, joint)
        sample = draw_sentences(rows, config.training_sentences, seed)
        source = Tokenizer(_train([source for source, _ in sample], config))
        return cls(source, Tokenizer(_train([target for _, target in sample], config)))

    @classmethod
    def load(cls, directory: str | Path) -> Tokenizers:
        """Read `tokenizer.model`, or `source.model` and `target.model`, from a directory.

        Raises:
            TokenizerError: they are missing or broken.
        """
        directory = Path(directory)
        if (directory / "tokenizer.model").exists():
            joint = Tokenizer.load(directory / "tokenizer.model")
            return cls(joint, joint)
        if not cls.exist(directory):
            raise TokenizerError(
                "A tokenizer must be tokenizer.model, or source.model and target.model. "
                f"Received: {directory}, without them."
            )
        return cls(Tokenizer.load(directory / "source.model"), Tokenizer.load(directory / "target.model"))

    @staticmethod
    def exist(directory: str | Path) -> bool:
        """Whether the directory holds a tokenizer, joint or separate."""
        directory = Path(directory)
        separate = (directory / "source.model", directory / "target.model")
        return (directory / "tokenizer.model").exists() or all(path.exists() for path in separate)

    def save(self, directory: str | Path) -> None:
        """Write `tokenizer.model`, or `source.model` and `target.model`, into a directory that exists."""
        directory = Path(directory)
        if self.is_joint:
            self.source.save(directory / "tokenizer.model")
        else:
            self.source.save(directory / "source.model")
            self.target.save(directory / "target.model")


def draw_sentences(items: Iterable[Any], count: int, seed: int) -> list[Any]:
    """Draw up to `count` items uniformly from a stream of unknown length (reservoir sampling, algorithm L of Li, 1994).

    Memory holds the reservoir only; the same stream and seed give the same items in the same order.
    """
    rng = random.Random(seed)
    iterator: Iterator[Any] = iter(items)
    reservoir = list(itertools.islice(iterator, count))
    if len(reservoir) < count:
        return reservoir
    weight = 1.0
    while True:
        weight *= math.exp(math.log(1.0 - rng.random()) / count)
        skip = int(math.log(1.0 - rng.random()) / math.log1p(-weight)) if weight < 1.0 else 0
        item = next(itertools.islice(iterator, skip, None), None)
        if item is None:
            return reservoir
        reservoir[rng.randrange(count)] = item


def standard_rules() -> dict[str, str]:
    """What the `standard` normalization rewrites: text to replacement, longest match first, everything else kept."""
    rules = dict.fromkeys(_APOSTROPHES, "'")
    rules |= dict.fromkeys(_SPACES + _LINE_SEPARATORS + _CONTROLS + _SPACE_MARK, " ")
    rules |= dict.fromkeys(filter(is_invisible, map(chr, range(0x80, 0x10000))), "")
    for joiner in JOINERS:
        del rules[joiner]  # needed or not, depending on what is before it
    for code in itertools.chain(range(0xC0, 0x250), range(0x1E00, 0x1F00)):
        letter = chr(code)
        for spelling in _decomposed_spellings(letter):
            rules[spelling] = letter
    return rules


def _decomposed_spellings(letter: str) -> set[str]:
    """Every other sequence of letter and combining marks that Unicode's canonical composition (NFC) makes `letter`."""
    decomposed = unicodedata.normalize("NFD", letter)
    base, marks = decomposed[0], decomposed[1:]
    spellings = set()
    for order in itertools.permutations(marks):
        for composed in range(len(marks)):
            start = unicodedata.normalize("NFC", base + "".join(order[:composed]))
            spelling = start + "".join(order[composed:])
            if unicodedata.normalize("NFC", spelling) == letter:
                spellings.add(spelling)
    return spellings - {letter}


def _train(sentences: Sequence[str], config: TokenizerConfig) -> bytes:
    """Train a SentencePiece model on sentences, in their order."""
    texts = [_encodable(sentence) for sentence in sentences if sentence.strip()]
    if not texts:
        raise TokenizerError("A tokenizer must be trained on text. Received: no sentence that is not empty.")
    spm.set_min_log_level(3)
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type=config.model_type,
            vocab_size=config.vocab_size,
            character_coverage=config.character_coverage,
            byte_fallback=True,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            pad_id=-1,
            control_symbols=[_SENTINEL.format(number) for number in range(config.sentinels)],
            num_threads=_TRAINING_THREADS,
            max_sentence_length=_LONGEST_TRAINING_SENTENCE,
            minloglevel=3,
            normalizer=_normalizer(config.normalization),
        )
    except RuntimeError as error:
        raise _explained(error, config) from error
    return model.getvalue()


def _normalizer(normalization: str) -> spm.SentencePieceNormalizer:
    """SentencePiece's normalizer for one value of `tokenizer.normalization`."""
    standard = normalization == "standard"
    return spm.SentencePieceNormalizer(
        rule_name=None if standard else normalization,
        norm_map=list(standard_rules().items()) if standard else None,
        add_dummy_prefix=True,
        remove_extra_whitespaces=True,
        escape_whitespaces=True,
    )


def _explained(error: RuntimeError, config: TokenizerConfig) -> TokenizerError:
    """SentencePiece's refusal in the terms of the configuration."""
    if limit := re.search(r"too high .*<= (\d+)", str(error)):
        return TokenizerError(
            f"tokenizer.vocab_size must be at most {limit[1]}: SentencePiece finds no more pieces in this text. "
            f"Received: {config.vocab_size}. Lower tokenizer.vocab_size or train on more text."
        )
    if limit := re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error)):
        return TokenizerError(
            f"tokenizer.vocab_size must be at least {limit[1]}: 256 bytes, {3 + config.sentinels} special pieces "
            f"and one per character. "
            f"Received: {config.vocab_size}. Raise tokenizer.vocab_size or lower tokenizer.character_coverage."
        )
    return TokenizerError(f"SentencePiece could not learn from this text: {error}")


def _load(model: bytes) -> spm.SentencePieceProcessor:
    """A processor for a serialized model that has our special ids."""
    processor = spm.SentencePieceProcessor()
    try:
        if not model:
            raise RuntimeError("it is empty")
        processor.LoadFromSerializedProto(model)
    except RuntimeError as error:
        raise TokenizerError(
            "A tokenizer must be a SentencePiece model. Received: bytes that are none, or not the whole of one. "
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
    """The ids of a model's sentinels, in their order."""
    ids = itertools.takewhile(
        processor.is_control, (processor.piece_to_id(_SENTINEL.format(number)) for number in itertools.count())
    )
    return tuple(ids)


def _encodable(text: str) -> str:
    """Return a text that SentencePiece accepts: without NUL, which its rules cannot name, and lone surrogates.

    Invisible characters are removed here as well as by the rules of the model: older models have fewer rules.
    """
    if text.isascii():
        return text.replace("\0", " ") if "\0" in text else text
    return _SURROGATES.sub("\ufffd", remove_invisible(text.replace("\0", " ")))
