"""Word alignment of a text and its translation, from cross-attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from translator.tokenizer.words import words_of


@dataclass(frozen=True)
class Alignment:
    """Links between the words of a text and those of its translation.

    Attributes:
        source: words of the text as the model read it; punctuation marks are words.
        target: words of the translation.
        links: pairs of indices, source first, in order.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    links: tuple[tuple[int, int], ...]

    def pharaoh(self) -> str:
        """Return the links as `0-0 1-2`."""
        return " ".join(f"{source}-{target}" for source, target in self.links)

    def __add__(self, other: Alignment) -> Alignment:
        """Return the alignment of two texts in a row."""
        moved = [(source + len(self.source), target + len(self.target)) for source, target in other.links]
        return Alignment(self.source + other.source, self.target + other.target, (*self.links, *moved))


def align(source_pieces: Sequence[str], target_pieces: Sequence[str], weights: Tensor) -> Alignment:
    """Link each target word to the source word with the greatest weight, and likewise each source word without a link.

    `benchmarks/alignment.py` compares this rule with others.

    Args:
        source_pieces: tokens of the text.
        target_pieces: tokens of its translation.
        weights: cross-attention, `(len(target_pieces), len(source_pieces))`.
    """
    source, target, table = word_weights(source_pieces, target_pieces, weights)
    if not source or not target:
        return Alignment(source, target, ())
    links = [(place, column) for column, place in enumerate(table.argmax(dim=0).tolist())]
    linked = {place for place, column in links if table[place, column]}
    links += [(place, column) for place, column in enumerate(table.argmax(dim=1).tolist()) if place not in linked]
    links = [link for link in links if table[link]]
    return Alignment(source, target, tuple(sorted(links)))


def word_weights(
    source_pieces: Sequence[str], target_pieces: Sequence[str], weights: Tensor
) -> tuple[tuple[str, ...], tuple[str, ...], Tensor]:
    """Return the words of both sides, and the weight between each two of them.

    The weight is the mean over the tokens of the target word of the sum over the tokens of the source word; it is 0
    between a word and a punctuation mark.

    Args:
        source_pieces: as in `align`.
        target_pieces: as in `align`.
        weights: as in `align`.

    Returns:
        Source words, target words, and weights `(source words, target words)`.
    """
    source, source_groups = words_of(source_pieces)
    target, target_groups = words_of(target_pieces)
    if not source or not target:
        return tuple(source), tuple(target), weights.new_zeros(len(source), len(target))
    means = torch.stack([weights[group].mean(dim=0) for group in target_groups])
    table = torch.stack([means[:, group].sum(dim=1) for group in source_groups])
    is_word = [[any(map(str.isalnum, word)) for word in words] for words in (source, target)]
    table = table.where(torch.tensor(is_word[0])[:, None] == torch.tensor(is_word[1]), 0.0)
    return tuple(source), tuple(target), table
