"""Token ids of rows of text: the most probable ones, or sampled ones with typing noise."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from translator.config import AugmentationConfig
from translator.data.augmentation import add_typing_noise
from translator.data.ids import Encoder, max_tokens
from translator.data.links import keep_through_noise, token_links
from translator.data.objectives import Objective
from translator.data.store import IntArray, Ragged
from translator.tokenizer import Tokenizer

_SOURCE, _TARGET, _TYPING, _OBJECTIVE = range(4)  # purposes of random seeds


@dataclass(frozen=True)
class RowEncoder:
    """Encodes rows of text for training.

    Attributes:
        objective: objective of the examples.
        encoders: encoder of each text of a row.
        sampling_alpha: smoothing of subword sampling; 0 disables it.
        augmentation: typing noise in the first text.
        seed: random seed.
        max_positions: upper bound on the positions of the model that an example takes.
    """

    objective: Objective
    encoders: tuple[Encoder, ...]
    sampling_alpha: float
    augmentation: AugmentationConfig
    seed: int
    max_positions: int

    @property
    def is_sampled(self) -> bool:
        """True if the tokens of a text differ between epochs."""
        return self.sampling_alpha > 0 or self.augmentation != AugmentationConfig()

    def encode(self, texts: Sequence[Sequence[str]]) -> list[Ragged]:
        """Return the most probable tokens of the texts of each column."""
        return [
            Ragged.of_rows(encoder.encode_arrays(column), np.int32)
            for encoder, column in zip(self.encoders, texts, strict=True)
        ]

    def sample(
        self, texts: Sequence[Sequence[str]], examples: IntArray, epoch: int, longest: tuple[int, int] | None
    ) -> list[Ragged]:
        """Return the sampled tokens of the texts of each column.

        Args:
            texts: texts of each column.
            examples: `(n,)` int64, numbers of the examples; sampling is a function of (seed, epoch, number).
            epoch: number of the epoch.
            longest: maximum number of tokens of a source and of a target, EOS included. A longer sampled tokenization
                is replaced by the most probable one.
        """
        longest = longest or (self.max_positions, self.max_positions)
        if self.objective.form not in ("pairs", "aligned"):
            longest = (max(longest), max(longest))
        typed = texts[0]
        if self.augmentation != AugmentationConfig():
            seeds = row_seeds(self.seed, epoch, _TYPING, examples).tolist()
            typed = [
                add_typing_noise(text, self.augmentation, seed) for text, seed in zip(texts[0], seeds, strict=True)
            ]
        drawn = [self._sample(_SOURCE, typed, examples, epoch, longest[0], instead=texts[0])]
        if len(texts) > 1:
            drawn.append(self._sample(_TARGET, texts[1], examples, epoch, longest[1], instead=texts[1]))
        if self.objective.form == "aligned":
            drawn.append(_links_through_noise(self.encoders[2].encode_arrays(texts[2]), texts[0], typed))
        return drawn

    def fits(self, sides: Sequence[Ragged]) -> IntArray:
        """Return a mask `(n,)` bool of the rows that fit the positions of the model."""
        source, target = max_tokens(self.objective, [side.lengths for side in sides])
        found: IntArray = self.objective.positions(source, target) <= self.max_positions
        return found

    def make_examples(self, sides: Sequence[Ragged], examples: IntArray, epoch: int) -> tuple[Ragged, ...]:
        """Return the sources and targets that the objective makes of the tokens of rows.

        Those of aligned rows are followed by the links between their tokens, source first, as flat rows.
        """
        made = self.objective.examples(sides, row_seeds(self.seed, epoch, _OBJECTIVE, examples))
        return (*made, self._token_links(sides)) if self.objective.form == "aligned" else made

    def _token_links(self, sides: Sequence[Ragged]) -> Ragged:
        """Return the links between the tokens of rows."""
        source, target, _ = self.encoders
        assert isinstance(source, Tokenizer) and isinstance(target, Tokenizer)
        rows = [
            token_links(sides[2][row], source.pieces(sides[0][row]), target.pieces(sides[1][row]))
            for row in range(len(sides[2]))
        ]
        return Ragged.of_rows(rows, np.int32)

    def _sample(
        self, side: int, texts: Sequence[str], examples: IntArray, epoch: int, longest: int, instead: Sequence[str]
    ) -> Ragged:
        """Return sampled tokens of texts. If they are too many, return the tokens of the text in `instead`."""
        tokenizer = self.encoders[side]
        if not isinstance(tokenizer, Tokenizer):
            return Ragged.of_rows(tokenizer.encode_arrays(texts), np.int32)
        if self.sampling_alpha == 0:
            drawn = tokenizer.encode_batch(texts)
        else:
            seeds = row_seeds(self.seed, epoch, side, examples).tolist()
            drawn = [tokenizer.sample(text, self.sampling_alpha, seed) for text, seed in zip(texts, seeds, strict=True)]
        longest = min(longest, self.max_positions)
        rows = [
            row if 0 < len(row) < longest else tokenizer.encode(text) for row, text in zip(drawn, instead, strict=True)
        ]
        return Ragged.of_rows(rows, np.int32)


def _links_through_noise(links: Sequence[IntArray], clean: Sequence[str], noisy: Sequence[str]) -> Ragged:
    """Return rows of links for source texts of which some have typing noise."""
    rows = [
        row if text == typed else keep_through_noise(row, text, typed)
        for row, text, typed in zip(links, clean, noisy, strict=True)
    ]
    return Ragged.of_rows(rows, np.int32)


def chosen(is_first: IntArray, first: Ragged, second: Ragged) -> Ragged:
    """Return each row from the first or from the second."""
    return Ragged.of_rows([(first if choice else second)[row] for row, choice in enumerate(is_first)], np.int32)


def row_seeds(seed: int, epoch: int, purpose: int, examples: IntArray) -> IntArray:
    """Return a seed per example, `(n,)` uint32: the bits of (seed, epoch, purpose, example) mixed by SplitMix64."""
    start = int.from_bytes(hashlib.sha256(f"{seed} {epoch} {purpose}".encode()).digest()[:8], "little")
    mixed = examples.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).astype(np.uint32)
