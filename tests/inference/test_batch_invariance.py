"""A text has the same translation whatever is translated with it: 1,000 sentences in five batchings."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pyarrow.parquet as parquet
import pytest
import torch

from translator import Translation, Translator
from translator.data.embedded import embedded_file
from translator.engines import base
from translator.engines.hardware import set_threads

NUM_SENTENCES = 1000
MAX_SCORE_DIFFERENCE = 1e-5  # float32 on the CPU; see `Hypothesis.score`


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let two threads share small batches, too, and put back their number."""
    monkeypatch.setattr(base, "_MIN_TOKENS_PER_THREAD", 1)
    number = torch.get_num_threads()
    set_threads(2)
    yield
    set_threads(number)


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    rows = parquet.read_table(embedded_file("phrasebook", "train"), columns=["fr"]).to_pylist()
    found = list(dict.fromkeys(row["fr"] for row in rows))
    return random.Random(4).sample(found, NUM_SENTENCES)


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load("fr-en-tiny", "cpu")


@pytest.fixture(scope="module")
def expected(translator: Translator, sentences: list[str]) -> list[Translation]:
    return translator.translate(sentences, beam_size=1, batch_tokens=4096)


@pytest.mark.parametrize(
    ("batch_tokens", "window", "seed"), [(4096, 1000, 1), (300, 1000, None), (2000, 53, 2), (120, 211, 3)]
)
def test_batches_windows_and_order_change_no_text(
    translator: Translator,
    sentences: list[str],
    expected: list[Translation],
    batch_tokens: int,
    window: int,
    seed: int | None,
) -> None:
    check(in_windows(translator, sentences, batch_tokens, window, seed), expected)


def test_threads_change_no_text(
    translator: Translator, sentences: list[str], expected: list[Translation], two_threads: None
) -> None:
    check(in_windows(translator, sentences, 1000, 500, 5), expected)


def in_windows(
    translator: Translator, sentences: Sequence[str], batch_tokens: int, window: int, seed: int | None
) -> list[Translation]:
    order = list(range(len(sentences)))
    if seed is not None:
        random.Random(seed).shuffle(order)
    found: dict[int, Translation] = {}
    for start in range(0, len(order), window):
        numbers = order[start : start + window]
        texts = [sentences[number] for number in numbers]
        translations = translator.translate(texts, beam_size=1, batch_tokens=batch_tokens)
        found |= dict(zip(numbers, translations, strict=True))
    return [found[number] for number in range(len(sentences))]


def check(found: Sequence[Translation], expected: Sequence[Translation]) -> None:
    assert [each.text for each in found] == [each.text for each in expected]
    assert [(each.flags, each.repair) for each in found] == [(each.flags, each.repair) for each in expected]
    differences = [abs(mine.score - right.score) for mine, right in zip(found, expected, strict=True)]
    assert 0 < max(differences) <= MAX_SCORE_DIFFERENCE
