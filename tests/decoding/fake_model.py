"""A model small enough to enumerate: its logits are a random row for each source and prefix."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request
from translator.decoding.search import search
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID

FIRST_WORD = 3  # ids below are unknown, BOS and EOS


@dataclass
class FakeState:
    sources: list[tuple[int, ...]]
    sentences: list[int]  # that each row belongs to
    prefixes: list[tuple[int, ...]]


class FakeModel:
    """A `Decodable` whose whole distribution is known.

    Args:
        vocab_size: special ids included.
        sharpness: standard deviation of the logits.
        eos_bias: added to the logit of EOS.
        digits: round logits to so many decimals, to make ties.
    """

    def __init__(
        self, vocab_size: int, sharpness: float = 2.0, eos_bias: float = 0.0, digits: int | None = None
    ) -> None:
        self.vocab_size = vocab_size
        self.sharpness = sharpness
        self.eos_bias = eos_bias
        self.digits = digits
        self.rows_stepped: list[int] = []

    def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
        digest = hashlib.blake2b(repr((source, prefix)).encode(), digest_size=7).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
        logits = torch.randn(self.vocab_size, generator=generator) * self.sharpness
        logits[EOS_ID] += self.eos_bias
        return logits if self.digits is None else logits.mul(10**self.digits).round().div(10**self.digits)

    def start(self, source: Packed) -> FakeState:
        sources = [tuple(ids.tolist()) for ids in source.unpack()]
        return FakeState(sources, list(range(len(sources))), [()] * len(sources))

    def step(self, tokens: Tensor, state: FakeState) -> Tensor:
        self.rows_stepped.append(len(tokens))
        state.prefixes = [(*prefix, token) for prefix, token in zip(state.prefixes, tokens.tolist(), strict=True)]
        rows = zip(state.sources, state.prefixes, strict=True)
        return torch.stack([self.logits(source, prefix) for source, prefix in rows])

    def reorder(self, state: FakeState, rows: Tensor, sentences: Sequence[int] | None = None) -> FakeState:
        chosen = rows.tolist()
        before, after = (
            list(dict.fromkeys(state.sentences[row] for row in r)) for r in (range(len(state.sentences)), chosen)
        )
        assert after == [before[place] for place in (range(len(before)) if sentences is None else sentences)]
        sources, prefixes = ([each[row] for row in chosen] for each in (state.sources, state.prefixes))
        return FakeState(sources, [state.sentences[row] for row in chosen], prefixes)

    def token_log_probabilities(self, source: tuple[int, ...], tokens: tuple[int, ...]) -> list[float]:
        """Return the log-probability of each token after the previous ones; EOS is added to the source."""
        source = (*source, EOS_ID)
        prefixes = [(BOS_ID, *tokens[:length]) for length in range(len(tokens))]
        distributions = [self.logits(source, prefix).log_softmax(-1) for prefix in prefixes]
        return [float(values[token]) for values, token in zip(distributions, tokens, strict=True)]

    def every_translation(self, source: tuple[int, ...], max_length: int, alpha: float) -> list[Candidate]:
        """All finished translations that are not empty, best first."""
        words = range(FIRST_WORD, self.vocab_size)
        texts: Iterable[tuple[int, ...]] = itertools.chain.from_iterable(
            itertools.product(words, repeat=length) for length in range(1, max_length)
        )
        finished = [(*text, EOS_ID) for text in texts]
        candidates = [
            Candidate.from_tokens(text, self.token_log_probabilities(source, text), alpha) for text in finished
        ]
        return sorted(candidates, key=lambda candidate: -candidate.score)


def sources_of(*lengths: int) -> list[tuple[int, ...]]:
    """Return sources, all different, that have these lengths with EOS."""
    numbers = itertools.count(FIRST_WORD)
    return [tuple(itertools.islice(numbers, length - 1)) for length in lengths]


def run(
    model: Any, sources: Sequence[Sequence[int]], max_lengths: Sequence[int], **options: Any
) -> list[list[Candidate]]:
    """Search greedily, or as the options say; without length penalty, unless one is given."""
    requests = [Request(tuple(source), length) for source, length in zip(sources, max_lengths, strict=True)]
    return search(model, requests, DecodingOptions(**{"beam_size": 1, "length_penalty": 0.0} | options))


def assert_same(left: Candidate, right: Candidate) -> None:
    """The same text, and the same numbers but for rounding."""
    assert left.tokens == right.tokens
    assert left.is_finished == right.is_finished
    assert math.isclose(left.score, right.score, abs_tol=1e-5)
    assert math.isclose(left.log_probability, right.log_probability, abs_tol=1e-5)
