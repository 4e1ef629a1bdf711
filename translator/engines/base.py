"""`Engine`: the interface between text and whatever computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request

_MIN_TOKENS_PER_THREAD = 256  # smaller batches cost more than idle threads

Pair = tuple[Sequence[int], Sequence[int]]


class Engine(Protocol):
    """A model that decodes and scores sequences of token ids."""

    @property
    def max_positions(self) -> int:
        """Maximum length of a sequence in tokens."""

    @property
    def shares_positions(self) -> bool:
        """True if source and output form one sequence, as in a decoder-only model."""

    @property
    def serves_terms(self) -> bool:
        """True if requests may have terms."""

    def unsupported(self, options: DecodingOptions) -> list[str]:
        """Return the names of the options whose values this engine cannot serve."""

    def search(self, requests: Sequence[Request], options: DecodingOptions) -> list[list[Candidate]]:
        """Return the results of each request, best first, at least one. Batching does not change them."""

    def score(self, pairs: Sequence[Pair], batch_tokens: int) -> list[tuple[float, ...]]:
        """Return the log-probability of each token of each target and of its EOS.

        Args:
            pairs: ids of source and target, without EOS; each fits the model. A language model has empty sources.
            batch_tokens: tokens of each side scored together; results do not depend on it.
        """

    def cross_attention(self, pairs: Sequence[Pair], batch_tokens: int) -> list[Tensor]:
        """Return the cross-attention weights of each target token, in the step that predicts it.

        An engine whose `unsupported` names `alignment` has no cross-attention.

        Args:
            pairs: as in `score`.
            batch_tokens: as in `score`.

        Returns:
            The weights of the model's alignment head, by default the mean over the heads of the last layer of the
            decoder, for each pair `(len(target), len(source))` float32 on the CPU; the weight of the source's EOS is
            left out.
        """


def tokens_per_batch(lengths: Sequence[int], batch_tokens: int, threads: int) -> int:
    """Return the maximum number of source tokens in the batch of one thread.

    Args:
        lengths: length of each source, in tokens.
        batch_tokens: number of tokens that all threads decode at a time.
        threads: number of threads, each of which decodes a batch.
    """
    return min(batch_tokens // threads, max(sum(lengths) // threads, _MIN_TOKENS_PER_THREAD))


def group_by_length(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Group sequences of similar length, longest first.

    Args:
        lengths: length of each sequence, in tokens.
        max_tokens: maximum sum of the lengths of a group; a longer sequence has a group of its own.

    Yields:
        Indices of the sequences of a group.
    """
    group: list[int] = []
    tokens = 0
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        if group and tokens + lengths[number] > max_tokens:
            yield group
            group, tokens = [], 0
        group.append(number)
        tokens += lengths[number]
    if group:
        yield group
