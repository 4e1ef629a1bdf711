"""Subword sampling: random segmentations of words into pieces that depend on a seed only.

SentencePiece can sample as well, but its generator also depends on the process: after a restart, the same seed gives
other segmentations (0.2.3), so that a training run could not be resumed exactly.
"""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

_CACHED_WORDS = 1 << 15  # about 2 KiB each
_UNKNOWN_PENALTY = 10.0  # log probability below that of the least probable piece, as in SentencePiece

# A step is a position of a word: the cumulative probabilities of the edges from there, without the last, and the edges.
# An edge is a piece that starts there: its ids and the position of its end.
Edge = tuple[tuple[int, ...], int]
Step = tuple[tuple[float, ...], tuple[Edge, ...]]


class UnigramSampler:
    """Subword regularization (Kudo, 2018): P(segmentation) is proportional to the product of P(piece) ** alpha.

    Forward filtering and backward sampling over the lattice of all segmentations. Filtering runs from the right, so
    that pieces are sampled from the left.
    """

    def __init__(
        self, pieces: Mapping[str, int], scores: Sequence[float], byte_ids: Sequence[int], alpha: float
    ) -> None:
        """Prepare for one vocabulary.

        Args:
            pieces: id of each piece of text.
            scores: log probability of each id.
            byte_ids: ids of the 256 byte pieces, or 256 times the id of the unknown token.
            alpha: sharpness; 1 is the distribution of the model, 0 the uniform distribution.
        """
        self._pieces = pieces
        self._scores = scores
        self._bytes = byte_ids
        self._alpha = alpha
        self._prefixes = {piece[:end] for piece in pieces for end in range(1, len(piece) + 1)}
        self._edges: dict[tuple[int, int], Edge] = {}  # shared by all words, since they take most of the memory
        self._unknown = min((scores[index] for index in pieces.values()), default=0.0) - _UNKNOWN_PENALTY
        self._steps = lru_cache(_CACHED_WORDS)(self._steps_of)

    def sample(self, words: Sequence[str], rng: random.Random) -> list[int]:
        """Return the ids of a random segmentation of each word."""
        ids: list[int] = []
        uniform = rng.random
        for word in words:
            steps = self._steps(word)
            place = 0
            while place < len(word):
                cumulative, edges = steps[place]
                # A single edge needs no random number.
                piece, place = edges[bisect(cumulative, uniform()) if cumulative else 0]
                ids += piece
        return ids

    def _steps_of(self, word: str) -> tuple[Step, ...]:
        """Return the step of each position of a word."""
        size = len(word)
        rest = [-math.inf] * size + [0.0]  # log of the total weight of all segmentations from a position on
        steps: list[Step] = []
        for start in reversed(range(size)):
            edges: list[Edge] = []
            weights: list[float] = []
            if word[start] not in self._pieces:
                edges.append((tuple(self._bytes[byte] for byte in word[start].encode()), start + 1))
                weights.append(self._alpha * self._unknown + rest[start + 1])
            for end in range(start + 1, size + 1):
                text = word[start:end]
                if text not in self._prefixes:
                    break
                index = self._pieces.get(text)
                if index is not None:
                    edges.append(self._edges.setdefault((index, end), ((index,), end)))
                    weights.append(self._alpha * self._scores[index] + rest[end])
            most = max(weights)
            sums = list(accumulate(math.exp(weight - most) for weight in weights))
            rest[start] = most + math.log(sums[-1])
            # Without the last sum, rounding cannot lead past the last edge.
            steps.append((tuple(partial / sums[-1] for partial in sums[:-1]), tuple(edges)))
        return tuple(reversed(steps))


class BpeSampler:
    """BPE-dropout (Provilkov et al., 2020): byte-pair encoding that leaves out each merge with probability alpha."""

    def __init__(
        self, pieces: Mapping[str, int], scores: Sequence[float], byte_ids: Sequence[int], alpha: float
    ) -> None:
        """Prepare for one vocabulary.

        Args:
            pieces: id of each piece of text.
            scores: score of each id; pieces with higher scores are merged first.
            byte_ids: ids of the 256 byte pieces, or of the unknown piece 256 times.
            alpha: probability that a merge is left out.
        """
        self._pieces = pieces
        self._scores = scores
        self._bytes = byte_ids
        self._alpha = alpha

    def sample(self, words: Sequence[str], rng: random.Random) -> list[int]:
        """Return the ids of a random segmentation of each word."""
        ids: list[int] = []
        for word in words:
            symbols = list(word)
            while (place := self._merge(symbols, rng)) is not None:
                symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
            for symbol in symbols:
                index = self._pieces.get(symbol)
                ids += [index] if index is not None else [self._bytes[byte] for byte in symbol.encode()]
        return ids

    def _merge(self, symbols: Sequence[str], rng: random.Random) -> int | None:
        """Return the position of the best merge that is not left out, or None."""
        best = -math.inf
        chosen = None
        for place, (left, right) in enumerate(pairwise(symbols)):
            index = self._pieces.get(left + right)
            if index is not None and self._scores[index] > best and rng.random() >= self._alpha:
                best = self._scores[index]
                chosen = place
        return chosen
