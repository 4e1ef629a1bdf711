"""A model small enough to enumerate: its logits are random numbers, a row for each source and beginning."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from translator.decoding.search import Candidate
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID

FIRST_WORD = 3  # ids below are unknown, BOS and EOS


@dataclass
class FakeState:
    sources: list[tuple[int, ...]]
    sentences: list[int]  # that each row belongs to
    beginnings: list[tuple[int, ...]]


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

    def logits(self, source: tuple[int, ...], beginning: tuple[int, ...]) -> Tensor:
        digest = hashlib.blake2b(repr((source, beginning)).encode(), digest_size=7).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
        logits = torch.randn(self.vocab_size, generator=generator) * self.sharpness
        logits[EOS_ID] += self.eos_bias
        return logits if self.digits is None else logits.mul(10**self.digits).round().div(10**self.digits)

    def start(self, source: Packed) -> FakeState:
        sources = [tuple(ids.tolist()) for ids in source.unpack()]
        return FakeState(sources, list(range(len(sources))), [()] * len(sources))

    def step(self, tokens: Tensor, state: FakeState) -> Tensor:
        self.rows_stepped.append(len(tokens))
        state.beginnings = [
            (*beginning, token) for beginning, token in zip(state.beginnings, tokens.tolist(), strict=True)
        ]
        rows = zip(state.sources, state.beginnings, strict=True)
        return torch.stack([self.logits(source, beginning) for source, beginning in rows])

    def reorder(self, state: FakeState, rows: Tensor, sentences: Sequence[int] | None = None) -> FakeState:
        chosen = rows.tolist()
        before, after = (
            list(dict.fromkeys(state.sentences[row] for row in r)) for r in (range(len(state.sentences)), chosen)
        )
        assert after == [before[place] for place in (range(len(before)) if sentences is None else sentences)]
        sources, beginnings = ([each[row] for row in chosen] for each in (state.sources, state.beginnings))
        return FakeState(sources, [state.sentences[row] for row in chosen], beginnings)

    def token_log_probabilities(self, source: tuple[int, ...], tokens: tuple[int, ...]) -> list[float]:
        """Of each token after those before it."""
        beginnings = [(BOS_ID, *tokens[:length]) for length in range(len(tokens))]
        distributions = [self.logits(source, beginning).log_softmax(-1) for beginning in beginnings]
        return [float(values[token]) for values, token in zip(distributions, tokens, strict=True)]

    def every_translation(self, source: tuple[int, ...], max_length: int, alpha: float) -> list[Candidate]:
        """All finished translations that are not empty, best first."""
        words = range(FIRST_WORD, self.vocab_size)
        texts: Iterable[tuple[int, ...]] = itertools.chain.from_iterable(
            itertools.product(words, repeat=length) for length in range(1, max_length)
        )
        finished = [(*text, EOS_ID) for text in texts]
        candidates = [Candidate.of(text, self.token_log_probabilities(source, text), alpha) for text in finished]
        return sorted(candidates, key=lambda candidate: -candidate.score)


def sources_of(*lengths: int) -> Packed:
    """Sentences of these lengths, all different, each ended by EOS."""
    numbers = itertools.count(FIRST_WORD)
    return Packed.from_sequences([[*itertools.islice(numbers, length - 1), EOS_ID] for length in lengths])


def assert_same(left: Candidate, right: Candidate) -> None:
    """The same text, and the same numbers but for rounding."""
    assert left.tokens == right.tokens
    assert left.is_finished == right.is_finished
    assert math.isclose(left.score, right.score, abs_tol=1e-5)
    assert math.isclose(left.log_probability, right.log_probability, abs_tol=1e-5)
