"""A small corpus and a small configuration for real, short training runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from translator.config import Config, validate

WORDS = {
    "un": "a", "chat": "cat", "chien": "dog", "oiseau": "bird", "cheval": "horse", "mange": "eats", "voit": "sees",
    "aime": "likes", "cherche": "seeks", "rouge": "red", "petit": "small", "grand": "tall", "noir": "black",
    "ici": "here", "demain": "tomorrow", "souvent": "often", "pain": "bread", "lait": "milk", "avec": "with",
    "sans": "without",
}  # fmt: skip


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """Distinct sentences of three to eight words, translated word by word."""
    rng = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        words = rng.choices(list(WORDS), k=rng.randint(3, 8))
        found[" ".join(words)] = " ".join(WORDS[word] for word in words)
    return list(found.items())


def write_tsv(path: Path, rows: list[tuple[str, str]]) -> Path:
    """The pairs as a file with a header."""
    path.write_text("fr\ten\n" + "".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.tsv and valid.tsv."""
    folder = tmp_path_factory.mktemp("corpus")
    write_tsv(folder / "train.tsv", pairs(400, seed=1))
    write_tsv(folder / "valid.tsv", pairs(30, seed=2))
    return folder


@pytest.fixture
def tiny(corpus: Path, tmp_path: Path) -> Callable[..., Config]:
    """Makes a configuration of a tiny model; keyword arguments are sections to change."""
    return tiny_in(tmp_path, corpus)


@pytest.fixture(scope="module")
def module_tiny(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Config]:
    """As `tiny`, in a folder that the tests of a module share."""
    return tiny_in(tmp_path_factory.mktemp("runs"), corpus)


def tiny_in(folder: Path, corpus: Path) -> Callable[..., Config]:
    """Return the function that `tiny` is, for outputs in a folder."""

    def make(output: str = "run", **sections: dict[str, Any]) -> Config:
        values: dict[str, Any] = {
            "output": str(folder / output),
            "data": {
                "source_language": "fr",
                "target_language": "en",
                "train": str(corpus / "train.tsv"),
                "valid": str(corpus / "valid.tsv"),
                "cache": str(corpus / "cache"),
            },
            "tokenizer": {"vocab_size": 320},
            "model": {
                "d_model": 32,
                "d_ff": 64,
                "encoder_layers": 1,
                "decoder_layers": 1,
                "encoder_heads": 2,
                "decoder_heads": 2,
                "max_positions": 64,
            },
            "training": {
                "max_steps": 12,
                "batch_tokens": 128,
                "learning_rate": 0.003,
                "warmup_steps": 4,
                "validate_every": 6,
                "save_every": 4,
                "log_every": 3,
                "valid_decode_examples": 0,
            },
        }
        for name, changes in sections.items():
            values[name] = {**values.get(name, {}), **changes}
        return validate(values, "test")

    return make
