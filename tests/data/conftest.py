"""Tokenizers and corpora of a small made-up language pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from made_up import data_config, make_pairs, write_text

from translator.config import TokenizerConfig
from translator.data.corpus import Corpus, load_corpus
from translator.tokenizer import Tokenizers


@pytest.fixture(scope="session")
def tokenizers() -> Tokenizers:
    return Tokenizers.train(make_pairs(2000, seed=99), TokenizerConfig(vocab_size=300), seed=1)


@pytest.fixture(scope="session")
def make_corpus(tokenizers: Tokenizers, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Corpus]:
    """Builds a corpus of made-up pairs: `make_corpus(count, alpha=…, weights=…)`."""
    cache = tmp_path_factory.mktemp("cache")

    def make(count: int, alpha: float = 0.0, weights: Sequence[float] = (1.0,), max_positions: int = 128) -> Corpus:
        sources = []
        for number, weight in enumerate(weights):
            folder = cache / f"{count}-{number}"
            if not folder.exists():
                folder.mkdir()
                write_text(folder, make_pairs(count, seed=number))
            paths = {"source": str(folder / "train.fr"), "target": str(folder / "train.en")}
            sources.append({"text": paths, "weight": weight})
        data = data_config(cache, *sources)
        return load_corpus(
            data.train,
            data,
            tokenizers,
            sampling_alpha=alpha,
            seed=1,
            max_positions=max_positions,
            log=lambda line: None,
        )

    return make
