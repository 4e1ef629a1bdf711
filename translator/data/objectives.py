"""Training objectives: the source and the target that each makes of a row of text.

An objective takes the tokens of a row and a seed, so that corruption is a function of (seed, epoch, example). The
docstring of `batch.Batch` shows the content of the batches.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import ClassVar

import numpy as np

from translator.config import Config, Form
from translator.data.batch import Batch, pack_pairs, pack_texts, with_end
from translator.data.files import DataError
from translator.data.noise import hide_spans, hide_tokens, mask_tokens, permute_sentences
from translator.data.store import IntArray, Ragged
from translator.packing import IGNORE_INDEX
from translator.tokenizer import Tokenizer, Tokenizers

_SENTENCE_ENDS = (".", "!", "?", "…")


@dataclass(frozen=True)
class Objective(ABC):
    """A training objective.

    Attributes:
        form: form of a row.
        specials: number of special tokens that each source and each target gets.
        is_drawn: True if an example differs between epochs.
        reads_batch_tokens: True if `training.batch_tokens` counts source tokens instead of target tokens.
    """

    form: ClassVar[Form] = "texts"
    specials: ClassVar[tuple[int, int]] = (1, 1)
    is_drawn: ClassVar[bool] = False
    reads_batch_tokens: ClassVar[bool] = False

    @property
    def key(self) -> tuple[object, ...]:
        """Plain values that the examples depend on, besides text, tokenizers and seed."""
        return type(self).__name__, *astuple(self)

    def budgets(self, batch_tokens: int, length_ratio: float) -> tuple[int, int]:
        """Return the source and target tokens of a batch, given the number of source tokens per target token."""
        if self.reads_batch_tokens:
            return batch_tokens, math.ceil(batch_tokens / length_ratio)
        return math.ceil(batch_tokens * length_ratio), batch_tokens

    @property
    def held_out(self) -> Objective:
        """The objective of held-out rows: this one, unless it reads more of a row than its loss on them needs."""
        return self

    def positions(self, source: IntArray, target: IntArray) -> IntArray:
        """Return the positions that examples of these lengths take, special tokens included: `(n,)`."""
        return np.maximum(source, target)

    @abstractmethod
    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """Return upper bounds on source and target tokens, given the tokens of each text of a row: `(n,)` each."""

    @abstractmethod
    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """Return sources and targets without special tokens.

        Args:
            texts: tokens of each text of the rows.
            seeds: random seed of each row, `(n,)` integers.
        """

    @abstractmethod
    def pack(self, index: int, source: Ragged, target: Ragged) -> Batch:
        """Pack examples into batch number `index`."""


@dataclass(frozen=True)
class Translation(Objective):
    """Translation of the source into the target.

    Attributes:
        is_joined: True if source and target share the positions of one sequence, as in a decoder-only model.
    """

    form: ClassVar[Form] = "pairs"
    is_joined: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        """See `Objective`. Empty if positions are not shared, so that older caches stay valid."""
        return super().key if self.is_joined else ()

    def positions(self, source: IntArray, target: IntArray) -> IntArray:
        """See `Objective`."""
        return source + target if self.is_joined else super().positions(source, target)

    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """See `Objective`."""
        return lengths[0], lengths[1]

    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """Return the two texts unchanged."""
        return texts[0], texts[1]

    def pack(self, index: int, source: Ragged, target: Ragged) -> Batch:
        """See `Objective`."""
        return pack_pairs(index, source, target)


@dataclass(frozen=True)
class AlignedTranslation(Translation):
    """Translation of pairs with word alignments, for guided alignment."""

    form: ClassVar[Form] = "aligned"

    @property
    def key(self) -> tuple[object, ...]:
        """See `Objective`."""
        return (type(self).__name__,)

    @property
    def held_out(self) -> Objective:
        """See `Objective`."""
        return Translation()


@dataclass(frozen=True)
class LanguageModeling(Objective):
    """Causal language modeling (Radford et al., 2018)."""

    specials: ClassVar[tuple[int, int]] = (0, 1)

    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """See `Objective`."""
        return np.zeros_like(lengths[0]), lengths[0]

    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """Return each text as the target of an empty source."""
        (text,) = texts
        return Ragged(text.values[:0], np.zeros_like(text.offsets)), text

    def pack(self, index: int, source: Ragged, target: Ragged) -> Batch:
        """See `Objective`."""
        return pack_pairs(index, source, target, ends_source=False)


@dataclass(frozen=True)
class MaskedLanguageModeling(Objective):
    """Masked language modeling (Devlin et al., 2019, section 3.1).

    Attributes:
        share: fraction of the tokens that is predicted.
        mask: id of the mask, which replaces most of them.
        vocab_size: size of the vocabulary; random tokens replace some of them.
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
        """Return masked texts, and the original token at each selected position."""
        (text,) = texts
        pairs = [
            mask_tokens(text[row], np.random.default_rng(seed), self.share, self.mask, self.vocab_size)
            for row, seed in enumerate(seeds.tolist())
        ]
        return _ragged(pairs)

    def pack(self, index: int, source: Ragged, target: Ragged) -> Batch:
        """See `Objective`."""
        return pack_texts(index, source, with_end(target, IGNORE_INDEX))


@dataclass(frozen=True)
class Classification(Objective):
    """Classification of texts."""

    form: ClassVar[Form] = "labelled"
    specials: ClassVar[tuple[int, int]] = (1, 0)
    reads_batch_tokens: ClassVar[bool] = True

    def bounds(self, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
        """See `Objective`."""
        return lengths[0], np.ones_like(lengths[0])

    def examples(self, texts: Sequence[Ragged], seeds: IntArray) -> tuple[Ragged, Ragged]:
        """Return each text, and its class as the only value of the target."""
        return texts[0], texts[1]

    def pack(self, index: int, source: Ragged, target: Ragged) -> Batch:
        """See `Objective`."""
        return pack_texts(index, source, target.values)


@dataclass(frozen=True)
class Denoising(Objective):
    """Denoising of corrupted texts.

    Attributes:
        share: fraction of the tokens that is hidden.
        sentinels: ids that replace hidden tokens; the first is the mask.
        span_length: mean length of a hidden span, which a sentinel replaces (Raffel et al., 2020). None replaces single
            tokens by the mask, and the target is the whole text (Lewis et al., 2020).
        sentence_ends: ids of the tokens that end a sentence. If there are any, sentences are shuffled.
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
        """Return corrupted texts and their targets."""
        (text,) = texts
        return _ragged(
            [self._corrupt(text[row], np.random.default_rng(seed)) for row, seed in enumerate(seeds.tolist())]
        )

    def _corrupt(self, pieces: IntArray, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        if self.span_length is not None:
            return hide_spans(pieces, rng, self.share, self.span_length, self.sentinels)
        shuffled = permute_sentences(pieces, rng, self.sentence_ends) if self.sentence_ends else pieces
        return hide_tokens(shuffled, rng, self.share, self.sentinels[0]), pieces

    def pack(self, index: int, source: Ragged, target: Ragged) -> Batch:
        """See `Objective`."""
        return pack_pairs(index, source, target)


def objective_of(config: Config, tokenizers: Tokenizers) -> Objective:
    """Return the objective of a run.

    Raises:
        DataError: if the objective needs sentinels and the tokenizer has none.
    """
    corruption, tokenizer = config.training.corruption, tokenizers.source
    match config.training.objective:
        case "translation" if config.train_form == "aligned":
            return AlignedTranslation()
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
            "This training.objective requires a tokenizer with sentinels, and the tokenizer of this run has none. "
            "Set tokenizer.sentinels and train in another output directory."
        )
    return tokenizer.sentinels


def _sentence_ends(tokenizer: Tokenizer) -> tuple[int, ...]:
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    return tuple(number for number, piece in enumerate(pieces) if piece.endswith(_SENTENCE_ENDS))


def _ragged(pairs: Sequence[tuple[IntArray, IntArray]]) -> tuple[Ragged, Ragged]:
    return Ragged.of_rows([pair[0] for pair in pairs], np.int32), Ragged.of_rows([pair[1] for pair in pairs], np.int32)
