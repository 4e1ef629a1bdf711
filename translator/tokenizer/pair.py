"""The tokenizers of a language pair, with a joint vocabulary or separate ones."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from translator.config import TokenizerConfig
from translator.tokenizer.tokenizer import Tokenizer
from translator.tokenizer.training import sample_sentences, train_model
from translator.tokenizer.vocabulary import TokenizerError

_JOINT_FILE = "tokenizer.model"
_SOURCE_FILE = "source.model"
_TARGET_FILE = "target.model"


@dataclass(frozen=True)
class Tokenizers:
    """The tokenizers of both languages; the same object twice if the vocabulary is joint."""

    source: Tokenizer
    target: Tokenizer

    @property
    def is_joint(self) -> bool:
        """True if both languages share one vocabulary."""
        return self.source is self.target

    @property
    def fingerprint(self) -> str:
        """SHA-256 over both models, in hexadecimal."""
        return hashlib.sha256(f"{self.source.fingerprint} {self.target.fingerprint}".encode()).hexdigest()

    @classmethod
    def train(cls, rows: Iterable[tuple[str, ...]], config: TokenizerConfig, seed: int) -> Tokenizers:
        """Train a joint tokenizer on all texts of the rows, or one tokenizer per side of pairs, in one pass.

        Args:
            rows: rows of text; pairs if the vocabularies are separate.
            config: size and kind of the vocabularies.
            seed: random seed of the sample of sentences.

        Raises:
            TokenizerError: if there is no text, or if `vocab_size` does not suit it.
        """
        if config.joint:
            joint = Tokenizer.train(itertools.chain.from_iterable(rows), config, seed)
            return cls(joint, joint)
        sample = sample_sentences(rows, config.training_sentences, seed)
        source = Tokenizer(train_model([source for source, _ in sample], config))
        return cls(source, Tokenizer(train_model([target for _, target in sample], config)))

    @classmethod
    def load(cls, directory: str | Path) -> Tokenizers:
        """Read `tokenizer.model`, or `source.model` and `target.model`, from a directory.

        Raises:
            TokenizerError: if they are missing or damaged.
        """
        directory = Path(directory)
        if (directory / _JOINT_FILE).exists():
            joint = Tokenizer.load(directory / _JOINT_FILE)
            return cls(joint, joint)
        if not cls.exist(directory):
            raise TokenizerError(
                f"A tokenizer must be {_JOINT_FILE}, or {_SOURCE_FILE} and {_TARGET_FILE}. "
                f"Received: {directory}, without them."
            )
        return cls(Tokenizer.load(directory / _SOURCE_FILE), Tokenizer.load(directory / _TARGET_FILE))

    @staticmethod
    def exist(directory: str | Path) -> bool:
        """Return True if the directory contains a tokenizer, joint or separate."""
        directory = Path(directory)
        separate = (directory / _SOURCE_FILE, directory / _TARGET_FILE)
        return (directory / _JOINT_FILE).exists() or all(path.exists() for path in separate)

    def save(self, directory: str | Path) -> None:
        """Write `tokenizer.model`, or `source.model` and `target.model`, into an existing directory."""
        directory = Path(directory)
        if self.is_joint:
            self.source.save(directory / _JOINT_FILE)
        else:
            self.source.save(directory / _SOURCE_FILE)
            self.target.save(directory / _TARGET_FILE)
