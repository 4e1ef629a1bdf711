"""Training examples from streams: read, cleaned, mixed and tokenized during training, and never stored.

Chunk k is a function of (seed, sources, k), whatever the number of ranks and workers. Each rank reads the text of all
chunks, which is cheap, and tokenizes its share; worker processes divide the tokenization of a rank.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from translator.config import AugmentationConfig, DataConfig, Form, Source
from translator.data.cleaning import TOO_MANY_TOKENS, SourceReport
from translator.data.encoding import RowEncoder, chosen
from translator.data.examples import Chunk, Position
from translator.data.files import DataError, Row
from translator.data.ids import encoders_of
from translator.data.mixing import shares
from translator.data.objectives import Objective
from translator.data.source_stream import SourceStream
from translator.data.sources import describe, shards_of
from translator.data.store import IntArray, Ragged
from translator.data.workers import Task, WorkerPool
from translator.tokenizer import Tokenizers

_CHUNK = 1024  # examples
_MEASURED_ROWS = 4096  # of each source, to measure lengths


@dataclass(frozen=True)
class StreamedCorpus:
    """Training examples from streams. Implements `Examples`.

    Attributes:
        fingerprint: hash of what the examples depend on: the first rows and the sizes of the sources, not paths.
        objective: objective of the examples.
        length_ratio: source tokens per target token of the first rows, special tokens included.
        mean_target_length: mean number of target tokens of the first rows, special tokens included.
        max_positions: upper bound on the positions of the model that an example takes.
    """

    fingerprint: str
    objective: Objective
    length_ratio: float
    mean_target_length: float
    max_positions: int
    _sources: tuple[Source, ...]
    _data: DataConfig
    _encoder: RowEncoder
    _report: tuple[SourceReport, ...]

    def report(self, limits: tuple[int, int]) -> tuple[SourceReport, ...]:
        """Return the numbers of the first rows of each source; see `Examples.report`."""
        return self._report

    def read(self, seed: int, limits: tuple[int, int], workers: int, share: tuple[int, int] = (0, 1)) -> StreamReader:
        """Return a reader at the beginning of the streams; see `Examples.read`."""
        streams = [
            SourceStream(source, number, self._data, self.objective.form, seed, is_logged=share[0] == 0)
            for number, source in enumerate(self._sources)
        ]
        return StreamReader(streams, mixture(self._data), self._encoder, seed, limits, workers, share)


class StreamReader(Iterator[Chunk]):
    """Reads the streams of a mixture in chunks.

    Attributes:
        position: `[k, positions of the sources]` at the beginning of the next round, whose first chunk has number k.
        ends: position after each chunk of the last round.
    """

    def __init__(
        self,
        streams: Sequence[SourceStream],
        proportions: IntArray,
        encoder: RowEncoder,
        seed: int,
        limits: tuple[int, int],
        workers: int,
        share: tuple[int, int],
    ) -> None:
        """Start at the beginning of the streams.

        Args:
            streams: streams of the sources.
            proportions: share of each source.
            encoder: encoder of the rows.
            seed: random seed of the mixture.
            limits: maximum number of tokens of a source and of a target, special tokens included; longer examples are
                left out.
            workers: number of worker processes that tokenize; 0 uses this process.
            share: number of the chunk to return of each round, from 0, and number of chunks of a round.
        """
        self._streams, self._proportions, self._seed, self._limits = streams, proportions, seed, limits
        self._tokens = TextChunks(encoder)
        self._own, self._round = share
        self._pool = WorkerPool(self._tokens, limits, workers, tasks_per_worker=1) if workers else None
        self._ends: deque[list[Position]] = deque()  # of the rounds that were submitted to the workers
        self._number = 0  # of the next chunk to read
        self.position: Position = self._reading_position()
        self.ends: list[Position] = []

    def __next__(self) -> Chunk:
        """Return this reader's chunk of the next round. Examples longer than the limits are left out."""
        if self._pool is None:
            task, self.ends = self._read_round()
            rows = self._tokens.pieces(task.examples, task.epoch, self._limits)
        else:
            while self._pool.has_capacity:
                task, ends = self._read_round()
                self._pool.submit(task)
                self._ends.append(ends)
            rows = self._pool.result()
            self.ends = self._ends.popleft()
        self.position = self.ends[-1]
        chunk = Chunk.of_rows(rows, self._tokens.encoder.objective.specials)
        fits = (chunk.lengths[0] <= self._limits[0]) & (chunk.lengths[1] <= self._limits[1])
        return chunk if fits.all() else chunk.take(np.flatnonzero(fits))

    def seek(self, position: Position) -> None:
        """Continue at a position. Chunks that workers have prepared for other positions are dropped."""
        if self._pool:
            self._pool.cancel()
        self._ends.clear()
        self._number = position[0]
        for stream, place in zip(self._streams, position[1], strict=True):
            stream.seek(place)
        self.position = position

    def close(self) -> None:
        """Stop the worker processes."""
        if self._pool:
            self._pool.close()

    def _reading_position(self) -> Position:
        return [self._number, [stream.position for stream in self._streams]]

    def _read_round(self) -> tuple[Task, list[Position]]:
        """Return the rows of this reader's chunk of the next round, and the positions after all chunks of the round."""
        ends: list[Position] = []
        for place in range(self._round):
            rng = np.random.default_rng([self._seed, self._number])
            counts = rng.multinomial(_CHUNK, self._proportions).tolist()
            rows = [row for stream, count in zip(self._streams, counts, strict=True) for row in stream.take(count)]
            if place == self._own:
                task = Task(self._number, [rows[row] for row in rng.permutation(len(rows))])
            self._number += 1
            ends.append(self._reading_position())
        return task, ends


@dataclass(frozen=True)
class TextChunks:
    """Makes the tokens of chunks of text, in this process or in workers."""

    encoder: RowEncoder

    def pieces(self, examples: list[Row], epoch: int, longest: tuple[int, int] | None = None) -> tuple[Ragged, ...]:
        """Return source and target tokens of the rows of a chunk; those of too many tokens are left out.

        Args:
            examples: texts of each row.
            epoch: number of the chunk. Subword sampling and augmentation are functions of (seed, number, row).
            longest: maximum number of tokens of a source and of a target, special tokens included.
        """
        numbers = epoch * _CHUNK + np.arange(len(examples))
        texts = list(zip(*examples, strict=True))
        if self.encoder.is_sampled:
            sides = self.encoder.sample(texts, numbers, 0, longest)
            fits = self.encoder.fits(sides)
            if not fits.all():
                sides = [chosen(fits, *pair) for pair in zip(sides, self.encoder.encode(texts), strict=True)]
        else:
            sides = self.encoder.encode(texts)
        kept = np.flatnonzero(self.encoder.fits(sides))
        return self.encoder.make_examples([side.take(kept) for side in sides], numbers[kept], 0)


def mixture(data: DataConfig) -> IntArray:
    """Return the share of each source of a streamed mixture: `(num_sources,)` float64."""
    return shares([source.weight for source in data.train], data.mixing_temperature)


def stream_rows(data: DataConfig, form: Form, count: int, seed: int) -> Iterator[Row]:
    """Yield cleaned rows of the mixture, for instance to train a tokenizer.

    Raises:
        DataError: if a source cannot be read.
    """
    counts = np.ceil(mixture(data) * count).astype(np.int64).tolist()
    for number, (source, wanted) in enumerate(zip(data.train, counts, strict=True)):
        yield from first_rows(SourceStream(source, number, data, form, seed), wanted)


def stream_samples(data: DataConfig, form: Form, count: int) -> tuple[tuple[SourceReport, ...], list[list[Row]]]:
    """Return the cleaning report of each stream, and its first cleaned rows.

    Raises:
        DataError: if a source cannot be read.
    """
    few = data.model_copy(update={"shuffle_rows": count})
    reports, samples = [], []
    for number, source in enumerate(data.train):
        stream = SourceStream(source, number, few, form, seed=0)
        samples.append(list(first_rows(stream, count)))
        reports.append(_report(stream, source))
    return tuple(reports), samples


def _report(stream: SourceStream, source: Source) -> SourceReport:
    """Return the cleaning report of the rows that a stream has read."""
    kept = stream.read - sum(stream.dropped.values())
    return SourceReport(f"{describe(source)} (first {stream.read:,} rows)", stream.read, kept, dict(stream.dropped))


def first_rows(stream: SourceStream, count: int) -> Iterator[Row]:
    """Yield up to `count` rows of the first pass of a stream."""
    while count > 0 and (rows := stream.take_of_pass(min(count, _CHUNK))):
        yield from rows
        count -= len(rows)


def load_stream(
    data: DataConfig,
    tokenizers: Tokenizers,
    *,
    sampling_alpha: float,
    seed: int,
    max_positions: int,
    objective: Objective,
) -> StreamedCorpus:
    """Open the streams of `data.train` and measure their first rows.

    Args:
        data: sources, languages, labels, cleaning and augmentation.
        tokenizers: tokenizers of both sides.
        sampling_alpha: smoothing of subword sampling; 0 disables it.
        seed: random seed.
        max_positions: examples that take more positions of the model are dropped.
        objective: objective of the examples.

    Raises:
        DataError: if a source cannot be read, or if no example is left.
    """
    encoder = RowEncoder(
        objective, encoders_of(tokenizers, objective, data), sampling_alpha, data.augmentation, seed, max_positions
    )
    proportions = mixture(data)
    totals, digest, reports = np.zeros(3), hashlib.sha256(), []
    for number, (source, share) in enumerate(zip(data.train, proportions.tolist(), strict=True)):
        few = data.model_copy(update={"shuffle_rows": _MEASURED_ROWS})
        stream = SourceStream(source, number, few, objective.form, seed=0)
        rows = list(first_rows(stream, _MEASURED_ROWS))
        report, lengths = _measure(stream, source, rows, encoder)
        reports.append(report)
        totals += share * lengths
        digest.update(json.dumps([rows, _sizes(source, data), stream.num_shards]).encode())
    known: list[Any] = [digest.hexdigest(), tokenizers.fingerprint, max_positions, proportions.tolist()]
    known += [sampling_alpha, data.cleaning.model_dump(), data.shuffle_rows, *objective.key, *data.labels]
    if data.augmentation != AugmentationConfig():
        known.append(data.augmentation.model_dump())
    return StreamedCorpus(
        fingerprint=hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32],
        objective=objective,
        length_ratio=float(totals[0] / totals[1]),
        mean_target_length=float(totals[1]),
        max_positions=max_positions,
        _sources=data.train,
        _data=data,
        _encoder=encoder,
        _report=tuple(reports),
    )


def _measure(
    stream: SourceStream, source: Source, rows: Sequence[Row], encoder: RowEncoder
) -> tuple[SourceReport, IntArray]:
    """Return the report of the first rows of a source, and their mean source and target tokens.

    Raises:
        DataError: if no row fits the model.
    """
    if not rows:
        stream.take(1)  # raises
    sides = TextChunks(encoder).pieces(list(rows), 0)
    if not len(sides[0]):
        raise DataError(
            "Training requires at least one example, and none of the first rows of "
            f"{describe(source)} fits the model. Change model.max_positions or the source."
        )
    specials = encoder.objective.specials
    lengths = [side.lengths + special for side, special in zip(sides[:2], specials, strict=True)]
    means = [length.mean() for length in lengths]
    report, longer = _report(stream, source), len(rows) - len(sides[0])
    if longer:
        report = replace(report, kept=report.kept - longer, dropped=report.dropped | {TOO_MANY_TOKENS: longer})
    return replace(report, target_tokens=round(means[1] * report.kept)), np.array([*means, 1.0])


def _sizes(source: Source, data: DataConfig) -> list[int]:
    """Return the sizes of the files of a source in bytes."""
    if source.hub:
        return []
    return [path.stat().st_size for shard in shards_of(source, data) for path in shard]
