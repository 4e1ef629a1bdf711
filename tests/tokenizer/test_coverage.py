"""Statistics of a tokenizer on a text."""

from __future__ import annotations

import pytest
from syllables import TEXT

from translator.tokenizer import Tokenizer
from translator.tokenizer.coverage import measure_coverage


def test_fertility_and_length_are_those_of_the_encoded_text(tokenizer: Tokenizer) -> None:
    texts = TEXT[:50]
    coverage = measure_coverage(tokenizer, texts)
    tokens = sum(len(tokenizer.encode(text)) for text in texts)
    assert coverage.fertility == pytest.approx(tokens / sum(len(text.split()) for text in texts))
    assert coverage.characters_per_token == pytest.approx(sum(map(len, texts)) / tokens)
    assert coverage.used_fraction == len({t for text in texts for t in tokenizer.encode(text)}) / tokenizer.vocab_size


def test_text_of_known_characters_has_no_unknown_ones(tokenizer: Tokenizer) -> None:
    coverage = measure_coverage(tokenizer, TEXT)
    assert (coverage.unknown_fraction, coverage.unknown) == (0, ())


def test_unknown_characters_are_counted_and_listed_by_frequency(tokenizer: Tokenizer) -> None:
    coverage = measure_coverage(tokenizer, ["ba 日日 語", "co"])
    assert coverage.unknown == ("日", "語")
    assert coverage.unknown_fraction == 3 / 7


def test_empty_text_has_no_statistics(tokenizer: Tokenizer) -> None:
    coverage = measure_coverage(tokenizer, ["", " "])
    assert (coverage.fertility, coverage.unknown_fraction) == (0, 0)
