"""Draw one of the ways to split words into pieces, as a function of a seed.

SentencePiece samples too, but its generator also depends on the process: the same seed gives other splits after a
restart (0.2.3), so that a training run could not be resumed exactly. These draws depend on nothing but their arguments.
"""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

_CACHED_WORDS = 1 << 15  # some 2 KiB each
_UNKNOWN_PENALTY = 10.0  # below the least likely piece, as in SentencePiece

# For each position of a word: cumulative probabilities of the pieces that may start there; their ids and ends.
Edge = tuple[tuple[int, ...], int]
Step = tuple[tuple[float, ...], tuple[Edge, ...]]


class UnigramSampler:
    """Subword regularization (Kudo, 2018): splits with probability proportional to that of their pieces to the alpha.

    Forward filtering and backward sampling over the lattice of all splits, run from the right so that words are drawn
    from the left.
    """

    def __init__(
        self, pieces: Mapping[str, int], scores: Sequence[float], bytes_from: Sequence[int], alpha: float
    ) -> None:
        """Prepare for one vocabulary.

        Args:
            pieces: id of each piece that stands for text.
            scores: log probability of each id.
            bytes_from: ids of the 256 byte pieces, or of the unknown piece 256 times.
            alpha: sharpness; 1 is the model's own distribution, towards 0 all splits are equally likely.
        """
        self._pieces = pieces
        self._scores = scores
        self._bytes = bytes_from
        self._alpha = alpha
        self._prefixes = {piece[:end] for piece in pieces for end in range(1, len(piece) + 1)}
        self._edges: dict[tuple[int, int], Edge] = {}  # shared by all words, for they are the bulk of the memory
        self._unknown = min((scores[index] for index in pieces.values()), default=0.0) - _UNKNOWN_PENALTY
        self._steps = lru_cache(_CACHED_WORDS)(self._steps_of)

    def draw(self, words: Sequence[str], rng: random.Random) -> list[int]:
        """Ids of one split of the words."""
        ids: list[int] = []
        uniform = rng.random
        for word in words:
            steps = self._steps(word)
            place = 0
            while place < len(word):
                cumulative, edges = steps[place]
                # With one way on, nothing is drawn.
                piece, place = edges[bisect(cumulative, uniform()) if cumulative else 0]
                ids += piece
        return ids

    def _steps_of(self, word: str) -> tuple[Step, ...]:
        """How to go on from each position of a word."""
        size = len(word)
        rest = [-math.inf] * size + [0.0]  # log of the summed weights of all splits from a position to the end
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
            # The last one is left out, so that rounding cannot lead past it.
            steps.append((tuple(partial / sums[-1] for partial in sums[:-1]), tuple(edges)))
        return tuple(reversed(steps))


class BpeSampler:
    """BPE-dropout (Provilkov et al., 2020): merges as usual, except that each is left out with some probability."""

    def __init__(
        self, pieces: Mapping[str, int], scores: Sequence[float], bytes_from: Sequence[int], alpha: float
    ) -> None:
        """Prepare for one vocabulary.

        Args:
            pieces: id of each piece that stands for text.
            scores: of each id; the higher, the earlier it was merged.
            bytes_from: ids of the 256 byte pieces, or of the unknown piece 256 times.
            alpha: probability that a merge is left out.
        """
        self._pieces = pieces
        self._scores = scores
        self._bytes = bytes_from
        self._alpha = alpha

    def draw(self, words: Sequence[str], rng: random.Random) -> list[int]:
        """Ids of one split of the words."""
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
        """Where the next merge is, or None: the best of those that are not left out this time."""
        best = -math.inf
        chosen = None
        for place, (left, right) in enumerate(pairwise(symbols)):
            index = self._pieces.get(left + right)
            if index is not None and self._scores[index] > best and rng.random() >= self._alpha:
                best = self._scores[index]
                chosen = place
        return chosen
