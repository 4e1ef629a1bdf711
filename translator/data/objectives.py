"""What each objective makes of a row of text: what the model reads, and what it is to say.

An objective gets the pieces of a row and a seed of its own, so that what it hides is a function of (seed, epoch,
example) and of nothing else. `batch.Batch` shows what the batches hold.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import ClassVar

import numpy as np

from translator.config import Config, Form
from translator.data.batch import Batch, Capacity, pack_pairs, pack_texts, with_end
from translator.data.files import DataError
from translator.data.noise import hide_spans, hide_tokens, mask_tokens, permute_sentences
from translator.data.store import IntArray, Ragged
from translator.packing import IGNORE_INDEX
from translator.tokenizer import Tokenizer, Tokenizers

_SENTENCE_ENDS = (".", "!", "?", "…")


@dataclass(frozen=True)
class Objective(ABC):
    """What is learned from a row of text.

    Attributes:
        form: what a row is.
        specials: special ids that each source and each target gets.
        is_drawn: whether an example differs from epoch to epoch.
        reads_batch_tokens: whether `training.batch_tokens` counts what is read instead of what is to be said.
    """

    form: ClassVar[Form] = "texts"
    specials: ClassVar[tuple[int, int]] = (1, 1)
    is_drawn: ClassVar[bool] = False
    reads_batch_tokens: ClassVar[bool] = False

    @property
    def key(self) -> tuple[object, ...]:
        """All that its examples depend on besides text, tokenizers and seed: plain values."""
        return type(self).__name__, *astuple(self)

    def budgets(self, batch_tokens: int, length_ratio: float) -> tuple[int, int]:
        """Source and target tokens of a batch, given the source tokens of a target token."""
        if self.reads_batch_tokens:
            return batch_tokens, math.ceil(batch_tokens / length_ratio)
        return math.ceil(batch_tokens * length_ratio), batch_tokens

    def positions(self, source: IntArray, target: IntArray) -> IntArray:
        """The model's positions that examples of these lengths take, special ids counted: `(n,)`."""
        return np.maximum(source, target)

    @abstractmethod
    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """Most pieces of source and target of examples, given those of each text of their rows: `(n,)` each."""

    @abstractmethod
    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """Sources and targets without special ids.

        Args:
            texts: pieces of each text of the rows.
            seeds: one for each row, `(n,)` integers.
        """

    @abstractmethod
    def pack(self, index: int, source: Ragged, target: Ragged, capacity: Capacity | None = None) -> Batch:
        """Batch number `index` of these examples, filled up to a capacity where there is one."""


@dataclass(frozen=True)
class Translation(Objective):
    """Say in one language what is written in another.

    Attributes:
        is_joined: source and target share one sequence's positions, as in a decoder alone.
    """

    form: ClassVar[Form] = "pairs"
    is_joined: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        """See `Objective`; nothing where positions are not shared, as before there were other objectives."""
        return super().key if self.is_joined else ()

    def positions(self, source: IntArray, target: IntArray) -> IntArray:
        """See `Objective`."""
        return source + target if self.is_joined else super().positions(source, target)

    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """See `Objective`."""
        return lengths[0], lengths[1]

    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """The two texts as they are."""
        return texts[0], texts[1]

    def pack(self, index: int, source: Ragged, target: Ragged, capacity: Capacity | None = None) -> Batch:
        """See `Objective`."""
        return pack_pairs(index, source, target, capacity)


@dataclass(frozen=True)
class LanguageModeling(Objective):
    """Continue a text, from any place in it (Radford et al., 2018)."""

    specials: ClassVar[tuple[int, int]] = (0, 1)

    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """See `Objective`."""
        return np.zeros_like(lengths[0]), lengths[0]

    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """Each text as the target of an empty source."""
        (text,) = texts
        return Ragged(text.values[:0], np.zeros_like(text.offsets)), text

    def pack(self, index: int, source: Ragged, target: Ragged, capacity: Capacity | None = None) -> Batch:
        """See `Objective`."""
        return pack_pairs(index, source, target, capacity, ends_source=False)


@dataclass(frozen=True)
class MaskedLanguageModeling(Objective):
    """Restore what is masked in a text, from both sides of it (Devlin et al., 2019, section 3.1).

    Attributes:
        share: of the pieces that are to be restored.
        mask: id that most of them are replaced by.
        vocab_size: pieces; some are replaced by another one at random.
    """

    is_drawn: ClassVar[bool] = True
    reads_batch_tokens: ClassVar[bool] = True
    share: float
    mask: int
    vocab_size: int

    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """See `Objective`."""
        return lengths[0], lengths[0]

    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """Masked texts, and the piece that belongs at each masked place."""
        (text,) = texts
        pairs = [
            mask_tokens(text[row], np.random.default_rng(seed), self.share, self.mask, self.vocab_size)
            for row, seed in enumerate(seeds.tolist())
        ]
        return _ragged(pairs)

    def pack(self, index: int, source: Ragged, target: Ragged, capacity: Capacity | None = None) -> Batch:
        """See `Objective`."""
        labels = with_end(target, IGNORE_INDEX)
        return pack_texts(index, source, labels, capacity, num_labels=capacity.source_tokens if capacity else 0)


@dataclass(frozen=True)
class Classification(Objective):
    """Say which of several classes a text belongs to."""

    form: ClassVar[Form] = "labelled"
    specials: ClassVar[tuple[int, int]] = (1, 0)
    reads_batch_tokens: ClassVar[bool] = True

    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """See `Objective`."""
        return lengths[0], np.ones_like(lengths[0])

    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """The text, and its class as the one value of the target."""
        return texts[0], texts[1]

    def pack(self, index: int, source: Ragged, target: Ragged, capacity: Capacity | None = None) -> Batch:
        """See `Objective`."""
        return pack_texts(index, source, target.values, capacity, num_labels=capacity.sequences if capacity else 0)


@dataclass(frozen=True)
class Denoising(Objective):
    """Repair a text of which much is hidden.

    Attributes:
        share: of the pieces that are hidden.
        sentinels: ids that stand for what is hidden, the first being the mask.
        span_length: mean length of a hidden run where each gets a sentinel (Raffel et al., 2020); None hides single
            pieces behind the mask and asks for the whole text (Lewis et al., 2020).
        sentence_ends: ids after which a sentence ends; sentences are shuffled where there are any.
    """

    is_drawn: ClassVar[bool] = True
    share: float
    sentinels: tuple[int, ...]
    span_length: float | None
    sentence_ends: tuple[int, ...] = ()

    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """See `Objective`."""
        return lengths[0], lengths[0] if self.span_length is None else np.maximum(lengths[0], 2)

    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """Damaged texts, and what repairs them."""
        (text,) = texts
        return _ragged(
            [self._damaged(text[row], np.random.default_rng(seed)) for row, seed in enumerate(seeds.tolist())]
        )

    def _damaged(self, pieces: IntArray, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        if self.span_length is not None:
            return hide_spans(pieces, rng, self.share, self.span_length, self.sentinels)
        shuffled = permute_sentences(pieces, rng, self.sentence_ends) if self.sentence_ends else pieces
        return hide_tokens(shuffled, rng, self.share, self.sentinels[0]), pieces

    def pack(self, index: int, source: Ragged, target: Ragged, capacity: Capacity | None = None) -> Batch:
        """See `Objective`."""
        return pack_pairs(index, source, target, capacity)


def objective_of(config: Config, tokenizers: Tokenizers) -> Objective:
    """The objective of a run.

    Raises:
        DataError: it hides pieces behind sentinels, and the tokenizer has none.
    """
    corruption, tokenizer = config.training.corruption, tokenizers.source
    match config.training.objective:
        case "translation":
            return Translation(is_joined=config.model.architecture == "decoder_only")
        case "language_modeling":
            return LanguageModeling()
        case "classification":
            return Classification()
        case "masked_language_modeling":
            return MaskedLanguageModeling(corruption.share, _sentinels(tokenizer)[0], tokenizer.vocab_size)
        case "denoising":
            return Denoising(
                corruption.share,
                _sentinels(tokenizer),
                corruption.span_length if corruption.method == "spans" else None,
                _sentence_ends(tokenizer) if corruption.permute_sentences else (),
            )


def _sentinels(tokenizer: Tokenizer) -> tuple[int, ...]:
    if not tokenizer.sentinels:
        raise DataError(
            "This training.objective hides pieces behind sentinels. Received: a tokenizer that has none. "
            "Set tokenizer.sentinels and learn it anew, in another output directory."
        )
    return tokenizer.sentinels


def _sentence_ends(tokenizer: Tokenizer) -> tuple[int, ...]:
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    return tuple(number for number, piece in enumerate(pieces) if piece.endswith(_SENTENCE_ENDS))


def _ragged(pairs: Sequence[tuple[IntArray, IntArray]]) -> tuple[Ragged, Ragged]:
    return Ragged.of_rows([pair[0] for pair in pairs], np.int32), Ragged.of_rows([pair[1] for pair in pairs], np.int32)
