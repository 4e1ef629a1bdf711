"""Throughput of training batches, with cached ids and with subword sampling, by number and kind of worker processes.

    python benchmarks/data_throughput.py --file train.parquet --vocab-size 8000 --repetitions 3

Trains a tokenizer on the `fr` and `en` columns of the file, then streams batches with the package's own workers (`own`)
and with `torch.utils.data.DataLoader` (`DataLoader`). Both prepare chunks of 1,024 examples. Settings are interleaved,
and medians of the repetitions are printed. Start-up is the time to the first batch. With `--step`, the consumer
computes for that many milliseconds per batch in the main process, as a training step does.

Also times one sample of SentencePiece's own sampler against this package's, in sentences per second of CPU time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from translator.data.corpus import Corpus
    from translator.data.workers import Task
    from translator.tokenizer import Tokenizer

SETTINGS = (
    (0.0, 0, "own"),
    (0.2, 0, "own"),
    (0.2, 1, "own"),
    (0.2, 1, "DataLoader"),
    (0.2, 2, "own"),
    (0.2, 2, "DataLoader"),
)


@dataclass
class ChunkDataset:
    """Map-style dataset whose index is a task."""

    corpus: Corpus
    limits: tuple[int, int]

    def __getitem__(self, task: Task) -> Any:
        return self.corpus.pieces(task.examples, task.epoch, self.limits)


class DataLoaderPool:
    """The interface of `WorkerPool` on torch's DataLoader; three tasks per worker are under way, as in `WorkerPool`."""

    def __init__(self, corpus: Corpus, limits: tuple[int, int], num_workers: int) -> None:
        from torch.utils.data import DataLoader

        self._tasks: list[Task] = []
        self._waiting, self._capacity = 0, 3 * num_workers
        self._loader = DataLoader(
            ChunkDataset(corpus, limits),  # type: ignore[arg-type]
            batch_size=None,
            sampler=self._endless(),  # type: ignore[arg-type]
            num_workers=num_workers,
            prefetch_factor=3,
            collate_fn=_unchanged,
            multiprocessing_context="spawn",
        )
        self._results: Iterator[Any] | None = None

    def _endless(self) -> Iterator[Task]:
        while True:
            yield self._tasks.pop(0)

    @property
    def has_capacity(self) -> bool:
        return self._waiting < self._capacity + 1  # the loader asks for one more as it returns a result

    def submit(self, task: Task) -> None:
        self._tasks.append(task)
        self._waiting += 1

    def result(self) -> Any:
        if self._results is None:
            self._results = iter(self._loader)
        self._waiting -= 1
        return next(self._results)

    def close(self) -> None:
        self._results = None


def _unchanged(value: Any) -> Any:
    return value


def measure(
    corpus: Corpus, arguments: argparse.Namespace, workers: int, kind: str
) -> tuple[float, float, float, float]:
    """Return start-up in seconds, target tokens per second and per CPU second of this process, and the target fill."""
    from translator.data.batching import BatchStream

    begin = time.perf_counter()
    batches = BatchStream(corpus, seed=1, batch_tokens=arguments.batch_tokens, workers=workers if kind == "own" else 0)
    pool = None
    if kind == "DataLoader":
        reader: Any = batches._reader
        pool = reader._pool = DataLoaderPool(corpus, reader._limits, workers)
    next(batches)
    start_up = time.perf_counter() - begin
    count = arguments.tokens // arguments.batch_tokens
    start, busy = time.perf_counter(), time.process_time()
    tokens = 0
    for _ in range(count):
        tokens += next(batches).num_target_tokens
        until = time.perf_counter() + arguments.step / 1000
        while time.perf_counter() < until:
            pass
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    if pool:
        pool.close()
    batches.close()
    return start_up, tokens / seconds, tokens / busy, tokens / count / arguments.batch_tokens


def compare_samplers(tokenizer: Tokenizer, texts: list[str]) -> None:
    """Print sentences per second of CPU time of both subword samplers."""
    import sentencepiece as spm

    processor = spm.SentencePieceProcessor(model_proto=tokenizer.to_bytes())
    for name, sample in (
        ("this package", lambda text: tokenizer.sample(text, 0.2, 1)),
        ("SentencePiece", lambda text: processor.encode(text, enable_sampling=True, alpha=0.2, nbest_size=-1)),
    ):
        for text in texts:
            sample(text)
        start = time.process_time()
        for text in texts:
            sample(text)
        print(f"sampling, {name}: {len(texts) / (time.process_time() - start):,.0f} sentences/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", required=True, help="Parquet, TSV, … with columns fr and en")
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--tokens", type=int, default=1_000_000, help="target tokens to stream in each setting")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--step", type=float, default=0.0, help="milliseconds of computation per batch")
    arguments = parser.parse_args()

    from translator.config import DataConfig, Source, TokenizerConfig
    from translator.data.corpus import load_corpus, read_clean_rows
    from translator.tokenizer import Tokenizers

    with tempfile.TemporaryDirectory() as cache:
        source = Source(file=str(Path(arguments.file).expanduser()))
        data = DataConfig(source_language="fr", target_language="en", train=(source,), cache=cache)
        pairs = list(read_clean_rows(data.train, data, print))
        tokenizers = Tokenizers.train(pairs, TokenizerConfig(vocab_size=arguments.vocab_size), seed=1)
        compare_samplers(tokenizers.source, [source for source, _ in pairs[:20_000]])
        corpora = {
            alpha: load_corpus(
                data.train, data, tokenizers, sampling_alpha=alpha, seed=1, max_positions=512, log=lambda line: None
            )
            for alpha in (0.0, 0.2)
        }
        results: dict[tuple[float, int, str], list[tuple[float, ...]]] = {setting: [] for setting in SETTINGS}
        for _ in range(arguments.repetitions):
            for setting in SETTINGS:
                results[setting].append(measure(corpora[setting[0]], arguments, *setting[1:]))
        print("alpha  workers  kind        start-up s  target tokens/s  per CPU second here  target fill")
        for (alpha, workers, kind), found in results.items():
            start_up, speed, per_cpu, fill = (statistics.median(column) for column in zip(*found, strict=True))
            print(
                f"{alpha:5}  {workers:7}  {kind:10}  {start_up:10.2f}  {speed:15,.0f}  {per_cpu:19,.0f}  {fill:11.1%}"
            )


if __name__ == "__main__":
    main()
