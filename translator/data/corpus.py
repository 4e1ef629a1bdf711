"""A training corpus: sources cleaned, counted, tokenized and cached, then read through memory maps.

Two folders of the cache make one: cleaned text, which depends on the sources, and ids, which depend on that text and
the tokenizer. Both are named by a fingerprint of all that determines them, so that neither is ever out of date.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from translator.config import AugmentationConfig, DataConfig, Source
from translator.data.augmentation import careless
from translator.data.cleaning import TOO_MANY_TOKENS, Progress, SourceReport, table
from translator.data.files import DataError, Pair
from translator.data.sources import cache_folder, read_pairs
from translator.data.store import IntArray, MappedArray, MappedRagged, Ragged, RaggedWriter, build_once
from translator.data.text import CleanText, clean_text
from translator.tokenizer import EOS_ID, Tokenizers

__all__ = ["Corpus", "DataError", "Example", "encode_pairs", "load_corpus", "read_clean_pairs", "read_pairs"]

_FORMAT = 1  # of the cached ids; counted up when their content or layout changes
_ROWS_AT_ONCE = 2048
_MEASURED_DRAWS = 8192  # examples whose pieces are drawn to measure lengths where pieces are drawn
_SOURCE, _TARGET, _TYPING = range(3)  # what a draw is for


@dataclass(frozen=True)
class Example:
    """One pair in token ids.

    Attributes:
        source: `(source_tokens,)` int64, ends with EOS.
        target: `(target_pieces,)` int64, without BOS and EOS.
    """

    source: IntArray
    target: IntArray


@dataclass(frozen=True)
class Corpus:
    """Examples to learn from, numbered from 0.

    Attributes:
        fingerprint: hash of everything that its examples and their mixture depend on: text and tokenizers, not paths.
        report: what became of the pairs of each source.
        bounds: examples of source i are `bounds[i]` to `bounds[i + 1]`.
        weights: of each source.
        length_ratio: source tokens per target token, as the mixture has them, special ids counted.
        mean_target_length: target tokens of an example on average, as the mixture has them, EOS counted.
        longest: most tokens of a source (EOS counted) and of a target (EOS counted).
        max_positions: no example is longer than this, in tokens.
    """

    fingerprint: str
    report: tuple[SourceReport, ...]
    bounds: tuple[int, ...]
    weights: tuple[float, ...]
    length_ratio: float
    mean_target_length: float
    longest: tuple[int, int]
    max_positions: int
    _tokenizers: Tokenizers
    _sampling_alpha: float
    _augmentation: AugmentationConfig
    _seed: int
    _ids: tuple[MappedRagged, MappedRagged]
    _text: CleanText
    _text_index: MappedArray

    def __len__(self) -> int:
        return self.bounds[-1]

    def encode(self, examples: IntArray, epoch: int) -> list[Example]:
        """Examples in token ids.

        Args:
            examples: `(n,)` int64, their numbers.
            epoch: each splits a sentence anew under subword sampling and types it anew under augmentation, as
                (seed, epoch, example) decide.
        """
        sources, targets = self.pieces(examples, epoch)
        return [
            Example(np.append(sources[row], EOS_ID).astype(np.int64), targets[row].astype(np.int64))
            for row in range(len(examples))
        ]

    def pieces(self, examples: IntArray, epoch: int, longest: tuple[int, int] | None = None) -> tuple[Ragged, Ragged]:
        """Source and target pieces of examples, without special ids.

        Args:
            examples: `(n,)` int64, their numbers.
            epoch: for subword sampling and augmentation.
            longest: most tokens of a source and of a target, EOS counted; a draw that is longer gives way to the
                best split, which `max_positions` bounds.
        """
        if not self._is_drawn:
            return self._ids[0].take(examples), self._ids[1].take(examples)
        longest = longest or (self.max_positions, self.max_positions)
        sources, targets = self._text.take(self._text_index.values[examples])
        self._text_index.release()
        seeds = _draw_seeds(self._seed, epoch, _TYPING, examples).tolist()
        typed = [careless(text, self._augmentation, seed) for text, seed in zip(sources, seeds, strict=True)]
        source = self._draw(_SOURCE, typed, examples, epoch, longest[0], instead=sources)
        return source, self._draw(_TARGET, targets, examples, epoch, longest[1], instead=targets)

    def lengths(self, examples: slice) -> tuple[IntArray, IntArray]:
        """Tokens of a run of examples, EOS counted, as the best split has them: two `(n,)` int64."""
        return self._ids[0].lengths(examples) + 1, self._ids[1].lengths(examples) + 1

    @property
    def _is_drawn(self) -> bool:
        """Whether the pieces of an example differ from epoch to epoch."""
        return self._sampling_alpha > 0 or self._augmentation != AugmentationConfig()

    def _draw(
        self, side: int, texts: Sequence[str], examples: IntArray, epoch: int, longest: int, instead: Sequence[str]
    ) -> Ragged:
        """The pieces of texts as an epoch draws them; a draw that is too long gives way to the text in `instead`."""
        tokenizer = (self._tokenizers.source, self._tokenizers.target)[side]
        if self._sampling_alpha == 0:
            drawn = tokenizer.encode_batch(texts)
        else:
            seeds = _draw_seeds(self._seed, epoch, side, examples).tolist()
            drawn = [
                tokenizer.sample(text, self._sampling_alpha, seed) for text, seed in zip(texts, seeds, strict=True)
            ]
        longest = min(longest, self.max_positions)
        rows = [
            row if 0 < len(row) < longest else tokenizer.encode(text) for row, text in zip(drawn, instead, strict=True)
        ]
        return Ragged.of_rows(rows, np.int32)


def load_corpus(
    sources: Sequence[Source],
    data: DataConfig,
    tokenizers: Tokenizers,
    *,
    sampling_alpha: float,
    seed: int,
    max_positions: int,
    log: Callable[[str], None],
) -> Corpus:
    """Read, clean, count, tokenize and cache sources, or find them in the cache.

    Args:
        sources: where the pairs come from.
        data: languages, cleaning, augmentation and the cache.
        tokenizers: of both languages.
        sampling_alpha: of subword sampling; 0 is none.
        seed: of subword sampling.
        max_positions: longer examples, in tokens with EOS, are dropped and counted.
        log: takes progress and the table of what was dropped.

    Raises:
        DataError: a source cannot be read, or nothing is left of them.
    """
    text = clean_text(sources, data, log)
    key = _key(_FORMAT, text.fingerprint, tokenizers.fingerprint, max_positions)
    folder = build_once(
        cache_folder(data) / "ids" / key, lambda temporary: _tokenize(temporary, text, tokenizers, max_positions, log)
    )
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    report = tuple(
        SourceReport(name=source.name, read=source.read, kept=kept, dropped=source.dropped | counts)
        for source, kept, counts in zip(text.report, meta["kept"], meta["dropped"], strict=True)
    )
    log(table(report))
    if not sum(meta["kept"]):
        raise DataError(
            "Training needs at least one pair. Received: none after cleaning; the table says what was dropped."
        )
    weights = tuple(source.weight for source in sources)
    corpus = Corpus(
        fingerprint=_key(
            *(text.content, tokenizers.fingerprint, max_positions, weights, meta["kept"], sampling_alpha),
            *((data.augmentation.model_dump(),) if data.augmentation != AugmentationConfig() else ()),
        ),
        report=report,
        bounds=(0, *np.cumsum(meta["kept"]).tolist()),
        weights=weights,
        length_ratio=1.0,
        mean_target_length=1.0,
        longest=(meta["longest"][0], meta["longest"][1]),
        max_positions=max_positions,
        _tokenizers=tokenizers,
        _sampling_alpha=sampling_alpha,
        _augmentation=data.augmentation,
        _seed=seed,
        _ids=tuple(MappedRagged(folder, side, _dtype(vocab)) for side, vocab in _sides(tokenizers)),  # type: ignore[arg-type]
        _text=text,
        _text_index=MappedArray(folder / "text_index", np.int64),
    )
    return _measured(corpus, meta["tokens"])


def read_clean_pairs(sources: Sequence[Source], data: DataConfig, log: Callable[[str], None]) -> Iterator[Pair]:
    """The cleaned pairs of sources, such as a tokenizer learns from; the cache keeps them for `load_corpus`.

    Raises:
        DataError: a source cannot be read.
    """
    text = clean_text(sources, data, log)
    for start in range(0, len(text), _ROWS_AT_ONCE):
        yield from zip(*text.take(text.kept(slice(start, start + _ROWS_AT_ONCE))), strict=True)


def encode_pairs(pairs: Sequence[Pair], tokenizers: Tokenizers) -> list[Example]:
    """Pairs of texts in token ids, such as a validation set."""
    sources = tokenizers.source.encode_arrays([source for source, _ in pairs])
    targets = tokenizers.target.encode_arrays([target for _, target in pairs])
    return [
        Example(np.append(source, EOS_ID).astype(np.int64), target.astype(np.int64))
        for source, target in zip(sources, targets, strict=True)
    ]


def _tokenize(
    folder: Path, text: CleanText, tokenizers: Tokenizers, max_positions: int, log: Callable[[str], None]
) -> None:
    """Write the ids of cleaned text into a folder of the cache, with what they come to for each source."""
    num_sources = len(text.report)
    kept, dropped = np.zeros((2, num_sources), np.int64)
    tokens = np.zeros((2, num_sources))
    longest = np.zeros(2, np.int64)
    progress = Progress("Tokenizing", len(text), log)
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(RaggedWriter(folder, side)) for side, _ in _sides(tokenizers)]
        index_file = stack.enter_context((folder / "text_index").open("wb"))
        for start in range(0, len(text), _ROWS_AT_ONCE):
            numbers = text.kept(slice(start, start + _ROWS_AT_ONCE))
            texts = text.take(numbers)
            sides = (tokenizers.source.encode_arrays(texts[0]), tokenizers.target.encode_arrays(texts[1]))
            lengths = np.array([[len(row) + 1 for row in side] for side in sides])  # (2, pairs)
            fits = np.flatnonzero((lengths <= max_positions).all(axis=0))
            for writer, side, (_, vocab_size) in zip(writers, sides, _sides(tokenizers), strict=True):
                ids = Ragged.of_rows([side[row] for row in fits], _dtype(vocab_size))
                writer.write(ids.values.tobytes(), ids.lengths)
            index_file.write(numbers[fits].tobytes())

            origin = text.source_of(numbers)
            counts = np.bincount(origin[fits], minlength=num_sources)
            kept += counts
            dropped += np.bincount(origin, minlength=num_sources) - counts
            for side_number, length in enumerate(lengths):
                tokens[side_number] += np.bincount(origin[fits], length[fits], minlength=num_sources)
            longest = np.maximum(longest, lengths[:, fits].max(axis=1, initial=0))
            progress.reached(start + len(numbers))
    meta = {
        "kept": kept.tolist(),
        "dropped": [{TOO_MANY_TOKENS: count} for count in dropped.tolist()],
        "tokens": tokens.T.tolist(),
        "longest": longest.tolist(),
    }
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _sides(tokenizers: Tokenizers) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("source", tokenizers.source.vocab_size), ("target", tokenizers.target.vocab_size)


def _dtype(vocab_size: int) -> Any:
    """The smallest type that holds every id."""
    return np.min_scalar_type(vocab_size - 1)


def _key(*parts: object) -> str:
    """A short hash of plain values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _measured(corpus: Corpus, tokens: Sequence[Sequence[int]]) -> Corpus:
    """The corpus with its lengths: from counted tokens (by source and side), or from draws where pieces are drawn."""
    totals = np.array(tokens, np.float64)
    if corpus._is_drawn:
        share = min(1.0, _MEASURED_DRAWS / len(corpus))
        for number, (start, stop) in enumerate(zip(corpus.bounds, corpus.bounds[1:], strict=False)):
            examples = np.unique(np.linspace(start, stop - 1, int((stop - start) * share) + 1).astype(np.int64))
            if stop > start:
                drawn = corpus.pieces(examples, epoch=0)
                totals[number] = [(len(side.values) + len(side)) / len(side) * (stop - start) for side in drawn]
    weights = np.array(corpus.weights)
    source, target = weights @ totals
    num_examples = weights @ np.diff(corpus.bounds)
    return replace(corpus, length_ratio=float(source / target), mean_target_length=float(target / num_examples))


def _draw_seeds(seed: int, epoch: int, side: int, examples: IntArray) -> IntArray:
    """One seed for each draw, `(n,)` uint32: the bits of (seed, epoch, side, example) well mixed (SplitMix64)."""
    start = int.from_bytes(hashlib.sha256(f"{seed} {epoch} {side}".encode()).digest()[:8], "little")
    mixed = examples.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).astype(np.uint32)
