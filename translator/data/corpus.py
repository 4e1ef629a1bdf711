"""A training corpus: cleaned, tokenized and cached sources, read through memory maps.

A corpus consists of two folders of the cache: cleaned text, which depends on the sources, and token ids, which depend
on that text and the tokenizer. The name of each folder is a fingerprint of everything that determines its content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from translator.config import AugmentationConfig, DataConfig, Form, Source
from translator.data.cleaning import LONGER_THAN_BATCH, SourceReport, table
from translator.data.encoding import RowEncoder, chosen
from translator.data.files import DataError, Row
from translator.data.ids import FORMAT, ROWS_AT_ONCE, Encoder, encoders_of, ids_dtype, max_tokens, tokenize
from translator.data.mixing import tempered_weights
from translator.data.objectives import Objective, Translation
from translator.data.order import EpochOrder
from translator.data.reader import ChunkReader
from translator.data.sources import cache_folder, read_rows
from translator.data.store import IntArray, MappedArray, MappedRagged, Ragged, build_once
from translator.data.text import SIDES, CleanText, clean_text
from translator.tokenizer import EOS_ID, Tokenizers

__all__ = ["Corpus", "DataError", "Example", "encode_rows", "load_corpus", "read_clean_rows", "read_rows"]

_TRANSLATION = Translation()
_MEASURED_EXAMPLES = 8192  # sampled to measure lengths, if the tokens of an example differ between epochs
_LENGTHS_AT_ONCE = 1 << 16  # examples


@dataclass(frozen=True)
class Example:
    """One example in token ids.

    Attributes:
        source: `(source_tokens,)` int64, ends with EOS.
        target: `(target_pieces,)` int64, without BOS and EOS.
    """

    source: IntArray
    target: IntArray


@dataclass(frozen=True)
class Corpus:
    """Cached training examples, numbered from 0. Implements `Examples`.

    Attributes:
        fingerprint: hash of everything that the examples and their mixture depend on: text and tokenizers, not paths.
        objective: objective of the examples.
        cleaning_report: numbers of rows that cleaning and tokenization dropped and kept, per source.
        bounds: examples of source i are `bounds[i]` to `bounds[i + 1]`.
        weights: weight of each source.
        length_ratio: source tokens per target token of the mixture, special tokens included.
        mean_target_length: mean number of target tokens of an example of the mixture, special tokens included.
        longest: maximum number of tokens of a source and of a target, special tokens included.
        max_positions: upper bound on the positions of the model that an example takes.
    """

    fingerprint: str
    objective: Objective
    cleaning_report: tuple[SourceReport, ...]
    bounds: tuple[int, ...]
    weights: tuple[float, ...]
    length_ratio: float
    mean_target_length: float
    longest: tuple[int, int]
    max_positions: int
    _encoder: RowEncoder
    _ids: tuple[MappedRagged, ...]
    _text: CleanText
    _text_index: MappedArray

    def __len__(self) -> int:
        return self.bounds[-1]

    def report(self, limits: tuple[int, int]) -> tuple[SourceReport, ...]:
        """Return the numbers of rows read, dropped and kept per source, if examples above the limits are left out.

        Args:
            limits: maximum number of tokens of a source and of a target, special tokens included.
        """
        if self.longest[0] <= limits[0] and self.longest[1] <= limits[1]:
            return self.cleaning_report
        return tuple(
            self._left_out(report, slice(start, stop), limits)
            for report, (start, stop) in zip(self.cleaning_report, pairwise(self.bounds), strict=True)
        )

    def _left_out(self, report: SourceReport, examples: slice, limits: tuple[int, int]) -> SourceReport:
        """Return the report of a source without the examples that are longer than the limits."""
        count = tokens = 0
        for start in range(examples.start, examples.stop, _LENGTHS_AT_ONCE):
            source, target = self.lengths(slice(start, min(start + _LENGTHS_AT_ONCE, examples.stop)))
            is_longer = (source > limits[0]) | (target > limits[1])
            count += int(is_longer.sum())
            tokens += int(target[is_longer].sum())
        return replace(
            report,
            kept=report.kept - count,
            dropped=report.dropped | {LONGER_THAN_BATCH: count},
            target_tokens=report.target_tokens - tokens,
            left_out_tokens=tokens,
        )

    def read(self, seed: int, limits: tuple[int, int], workers: int, share: tuple[int, int] = (0, 1)) -> ChunkReader:
        """Return a reader at the beginning of the first epoch.

        Args:
            seed: random seed of the order.
            limits: maximum number of tokens of a source and of a target, special tokens included; longer examples are
                left out.
            workers: number of worker processes that prepare chunks ahead; 0 uses this process.
            share: number of the chunk to read of each round, and number of chunks of a round.
        """
        return ChunkReader(self, EpochOrder(self.bounds, self.weights, seed), limits, workers, share)

    def encode(self, examples: IntArray, epoch: int) -> list[Example]:
        """Return examples as token ids.

        Args:
            examples: `(n,)` int64, numbers of the examples.
            epoch: subword sampling and augmentation are functions of (seed, epoch, example).
        """
        sources, targets, *_ = self.pieces(examples, epoch)
        return [
            Example(np.append(sources[row], EOS_ID).astype(np.int64), targets[row].astype(np.int64))
            for row in range(len(examples))
        ]

    def pieces(self, examples: IntArray, epoch: int, longest: tuple[int, int] | None = None) -> tuple[Ragged, ...]:
        """Return source and target tokens of examples, without special tokens, and the links of aligned ones.

        Args:
            examples: `(n,)` int64, numbers of the examples.
            epoch: epoch of subword sampling, augmentation and corruption.
            longest: maximum number of tokens of a source and of a target, EOS included. A longer sampled tokenization
                is replaced by the most probable one, which `max_positions` limits.
        """
        sides = self._sampled(examples, epoch, longest) if self._encoder.is_sampled else self._cached(examples)
        return self._encoder.make_examples(sides, examples, epoch)

    def lengths(self, examples: slice) -> tuple[IntArray, IntArray]:
        """Return upper bounds on source and target tokens of consecutive examples: two `(n,)` int64 arrays."""
        return max_tokens(self.objective, [ids.lengths(examples) for ids in self._ids])

    def _cached(self, examples: IntArray) -> list[Ragged]:
        """Return the cached tokens of each text of examples."""
        return [ids.take(examples) for ids in self._ids]

    def _sampled(self, examples: IntArray, epoch: int, longest: tuple[int, int] | None) -> list[Ragged]:
        """Return the sampled tokens of each text of examples in an epoch."""
        texts = self._text.take(self._text_index.values[examples])
        self._text_index.release()
        drawn = self._encoder.sample(texts, examples, epoch, longest)
        fits = self._encoder.fits(drawn)
        if fits.all():
            return drawn
        return [chosen(fits, *sides) for sides in zip(drawn, self._cached(examples), strict=True)]


def load_corpus(
    sources: Sequence[Source],
    data: DataConfig,
    tokenizers: Tokenizers,
    *,
    sampling_alpha: float,
    seed: int,
    max_positions: int,
    log: Callable[[str], None],
    objective: Objective = _TRANSLATION,
) -> Corpus:
    """Read, clean, tokenize and cache sources, or find them in the cache.

    Args:
        sources: sources of the rows.
        data: languages, labels, cleaning, augmentation and the cache.
        tokenizers: tokenizers of both sides.
        sampling_alpha: smoothing of subword sampling; 0 disables it.
        seed: random seed.
        max_positions: examples that take more positions of the model are dropped and counted.
        log: function that logs a line of progress.
        objective: objective of the examples.

    Raises:
        DataError: if a source cannot be read or has an unknown label, or if no example is left.
    """
    encoders = encoders_of(tokenizers, objective, data)
    text = clean_text(sources, data, objective.form, log)
    variant = (*objective.key, *data.labels)
    key = _key(FORMAT, text.fingerprint, tokenizers.fingerprint, max_positions, *variant)
    folder = build_once(
        cache_folder(data) / "ids" / key,
        lambda temporary: tokenize(temporary, text, encoders, objective, max_positions, log),
    )
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    given = tuple(source.weight for source in sources)
    weights = tempered_weights(given, meta["kept"], data.mixing_temperature)
    known = [text.content, tokenizers.fingerprint, max_positions, weights, meta["kept"], sampling_alpha]
    if data.augmentation != AugmentationConfig():
        known.append(data.augmentation.model_dump())
    corpus = Corpus(
        fingerprint=_key(*known, *variant),
        objective=objective,
        cleaning_report=_report(text, meta),
        bounds=(0, *np.cumsum(meta["kept"]).tolist()),
        weights=weights,
        length_ratio=1.0,
        mean_target_length=1.0,
        longest=(meta["longest"][0], meta["longest"][1]),
        max_positions=max_positions,
        _encoder=RowEncoder(objective, encoders, sampling_alpha, data.augmentation, seed, max_positions),
        _ids=_mapped_ids(folder, objective.form, encoders),
        _text=text,
        _text_index=MappedArray(folder / "text_index", np.int64),
    )
    return _measured(corpus, meta["tokens"])


def _mapped_ids(folder: Path, form: Form, encoders: Sequence[Encoder]) -> tuple[MappedRagged, ...]:
    """Return the token ids of each side in a folder of the cache."""
    return tuple(
        MappedRagged(folder, side, ids_dtype(encoder)) for side, encoder in zip(SIDES[form], encoders, strict=True)
    )


def _report(text: CleanText, meta: dict[str, Any]) -> tuple[SourceReport, ...]:
    """Return the numbers of rows read, dropped and kept per source, tokenization included.

    Raises:
        DataError: if no row is left.
    """
    report = tuple(
        replace(source, kept=kept, dropped=source.dropped | counts, target_tokens=round(tokens[1]))
        for source, kept, counts, tokens in zip(text.report, meta["kept"], meta["dropped"], meta["tokens"], strict=True)
    )
    if not sum(meta["kept"]):
        raise DataError(
            f"Training requires at least one example, and none is left after cleaning:\n{table(report)}\n"
            "Change data.cleaning, model.max_positions or the sources."
        )
    return report


def read_clean_rows(
    sources: Sequence[Source], data: DataConfig, log: Callable[[str], None], form: Form = "pairs"
) -> Iterator[Row]:
    """Yield the cleaned rows of sources, for instance to train a tokenizer. `load_corpus` finds them in the cache.

    Raises:
        DataError: if a source cannot be read.
    """
    text = clean_text(sources, data, form, log)
    for start in range(0, len(text), ROWS_AT_ONCE):
        yield from zip(*text.take(text.kept(slice(start, start + ROWS_AT_ONCE))), strict=True)


def encode_rows(
    rows: Sequence[Row], tokenizers: Tokenizers, data: DataConfig, objective: Objective = _TRANSLATION, seed: int = 0
) -> tuple[Ragged, Ragged]:
    """Return sources and targets of rows, such as a validation set, without special tokens.

    Args:
        rows: rows of text.
        tokenizers: tokenizers of both sides.
        data: configuration, for `data.labels`.
        objective: objective of the examples.
        seed: random seed of corruption.

    Raises:
        DataError: if a label is not one of `data.labels`.
    """
    columns = list(zip(*rows, strict=True)) or [() for _ in SIDES[objective.form]]
    encoders = encoders_of(tokenizers, objective, data)
    encoder = RowEncoder(objective, encoders, 0.0, AugmentationConfig(), seed, max_positions=0)
    source, target = encoder.make_examples(encoder.encode(columns), np.arange(len(rows)), epoch=0)
    return source, target


def _key(*parts: object) -> str:
    """Return a short hash of plain values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _measured(corpus: Corpus, tokens: Sequence[Sequence[int]]) -> Corpus:
    """Return the corpus with its mean lengths, from the tokens of each source and side or from sampled examples."""
    totals = np.array(tokens, np.float64)
    if corpus._encoder.is_sampled or corpus.objective.is_drawn:
        share = min(1.0, _MEASURED_EXAMPLES / len(corpus))
        for number, (start, stop) in enumerate(zip(corpus.bounds, corpus.bounds[1:], strict=False)):
            examples = np.unique(np.linspace(start, stop - 1, int((stop - start) * share) + 1).astype(np.int64))
            if stop > start:
                drawn = corpus.pieces(examples, epoch=0)
                totals[number] = [
                    (len(side.values) + special * len(side)) / len(side) * (stop - start)
                    for side, special in zip(drawn, corpus.objective.specials, strict=False)
                ]
    weights = np.array(corpus.weights)
    source, target = weights @ totals
    num_examples = weights @ np.diff(corpus.bounds)
    return replace(corpus, length_ratio=float(source / target), mean_target_length=float(target / num_examples))
