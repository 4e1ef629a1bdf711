"""Streams of training data: memory, start and throughput by number of pairs, and what each part of the path costs.

    python benchmarks/streaming.py --sizes 1000000 10000000
    python benchmarks/streaming.py --sizes 10000000 --rows-only

Writes shards of 500,000 artificial pairs of 8 words to Parquet, then reads each size in a process of its own, by
`BatchStream`, to the end of the pass or for `--limit` pairs. The process reports the time to its first batch, which
includes opening the stream and measuring lengths; pairs and target tokens per second of CPU time; and the smallest and
the largest memory (RssAnon) after each tenth of the pairs. With `--rows-only`, rows are read, cleaned and freed of
duplicates, and not tokenized. Wall-clock time means little where other programs use the cores; CPU time is of all
threads.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from translator.config import DataConfig
    from translator.data.streaming import StreamedCorpus
    from translator.tokenizer import Tokenizers

WORDS = [
    "le",
    "la",
    "un",
    "une",
    "et",
    "dans",
    "avec",
    "homme",
    "femme",
    "enfant",
    "maison",
    "chien",
    "été",
    "rue",
    "ville",
    "jour",
    "nuit",
    "mer",
    "eau",
    "feu",
    "arbre",
    "main",
    "temps",
    "monde",
]
SHARD = 500_000
SMALLEST_LIMIT = 20_000  # memory is sampled after each tenth
COLUMNS = ("pairs", "read", "first batch s", "(CPU s)", "pairs/CPU s", "tokens/CPU s", "MiB, smallest", "MiB, largest")


def main() -> None:
    """Measure and print one row per size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--limit", type=int, default=0, help="pairs to read of each size (default: all)")
    parser.add_argument("--alpha", type=float, default=0.0, help="alpha of subword sampling")
    parser.add_argument("--rows-only", action="store_true", help="do not tokenize")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if min(arguments.sizes) < SHARD or any(size % SHARD for size in arguments.sizes):
        parser.error(f"--sizes must be multiples of {SHARD:,}. Received: {arguments.sizes}.")
    if 0 < arguments.limit < SMALLEST_LIMIT or arguments.limit < 0:
        parser.error(f"--limit must be 0 or at least {SMALLEST_LIMIT:,}. Received: {arguments.limit}.")
    if arguments.folder:
        measure(Path(arguments.folder), arguments.sizes[0], arguments.limit, arguments.alpha, arguments.rows_only)
        return
    print("  ".join(COLUMNS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shards(folder, max(arguments.sizes))
        for size in arguments.sizes:
            options = ["--limit", str(arguments.limit), "--alpha", str(arguments.alpha)]
            options += ["--rows-only"] * arguments.rows_only
            command = [sys.executable, __file__, "--folder", name, "--sizes", str(size), *options]
            found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
            print("  ".join(cell.rjust(len(column)) for cell, column in zip(found, COLUMNS, strict=True)), flush=True)


def write_shards(folder: Path, count: int) -> None:
    """Write artificial pairs as shards, and a tokenizer of their words."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from translator.config import TokenizerConfig
    from translator.tokenizer import Tokenizers

    rng = np.random.default_rng(0)
    vocabulary = pa.array(WORDS)
    for start in range(0, count, SHARD):
        rows = min(SHARD, count - start)
        number = pa.array(np.arange(start, start + rows)).cast(pa.string())
        columns = {}
        for name in ("fr", "en"):
            words = [vocabulary.take(pa.array(rng.integers(0, len(WORDS), rows))) for _ in range(7)]
            columns[name] = pa.compute.binary_join_element_wise(number, *words, " ")
        pq.write_table(pa.table(columns), folder / f"part-{start // SHARD:04}.parquet", row_group_size=50_000)
        if start == 0:
            few = zip(*(columns[name][:20_000].to_pylist() for name in ("fr", "en")), strict=True)
            Tokenizers.train(few, TokenizerConfig(vocab_size=500), seed=1).save(folder)


def measure(folder: Path, size: int, limit: int, alpha: float, is_rows_only: bool) -> None:
    """Read the shards of a size, and print one row of the table."""
    from translator.config import DataConfig, Source

    for number, path in enumerate(sorted(folder.glob("part-*.parquet"))):  # the first shards, under other names
        if number * SHARD < size:
            (folder / f"size-{size}-{number:04}.parquet").symlink_to(path)
    source = Source(file=str(folder / f"size-{size}-*.parquet"), streaming=True)
    data = DataConfig(source_language="fr", target_language="en", train=(source,))
    wanted = min(limit, size) if limit else size
    (read_rows if is_rows_only else read_batches)(data, folder, size, wanted, alpha)


def read_rows(data: DataConfig, folder: Path, size: int, wanted: int, alpha: float) -> None:
    """Read rows without tokenizing them."""
    from translator.data.source_stream import SourceStream

    begin, busy = time.perf_counter(), time.process_time()
    count = 1024
    stream = SourceStream(data.train[0], 0, data, "pairs", seed=1)
    stream.take(count)
    first = time.perf_counter() - begin, time.process_time() - busy
    sizes: list[float] = []
    busy = time.process_time()
    while count < wanted:
        stream.take(1024)
        count += 1024
        sample_memory(sizes, count / wanted)
    report(size, count, first, time.process_time() - busy, 0, sizes)


def read_batches(data: DataConfig, folder: Path, size: int, wanted: int, alpha: float) -> None:
    """Read batches."""
    from translator.data.batching import BatchStream
    from translator.tokenizer import Tokenizers

    tokenizers = Tokenizers.load(folder)
    begin, busy = time.perf_counter(), time.process_time()
    batches = BatchStream(open_corpus(data, tokenizers, alpha), seed=1, batch_tokens=4096)
    next(batches)
    first = time.perf_counter() - begin, time.process_time() - busy
    count = tokens = 0
    sizes: list[float] = []
    busy = time.process_time()
    while count < wanted:
        batch = next(batches)
        count += batch.source.num_sequences
        tokens += batch.num_target_tokens
        sample_memory(sizes, count / wanted)
    report(size, count, first, time.process_time() - busy, tokens, sizes)


def open_corpus(data: DataConfig, tokenizers: Tokenizers, alpha: float) -> StreamedCorpus:
    """Return the corpus of a configuration."""
    from translator.data.objectives import Translation
    from translator.data.streaming import load_stream

    return load_stream(
        data,
        tokenizers,
        sampling_alpha=alpha,
        seed=1,
        max_positions=256,
        objective=Translation(),
    )


def sample_memory(sizes: list[float], done: float) -> None:
    """Append the memory of this process to `sizes` if another tenth of the pairs is done.

    Args:
        sizes: memory after each tenth so far, in MiB.
        done: fraction of the pairs that are read.
    """
    if done >= (len(sizes) + 1) / 10:
        sizes.append(memory())
        print(f"{done:.0%}: {sizes[-1]:.0f} MiB", file=sys.stderr, flush=True)


def report(size: int, count: int, first: tuple[float, float], seconds: float, tokens: int, sizes: list[float]) -> None:
    """Print one row of the table."""
    speed = f"{tokens / seconds:,.0f}" if tokens else "-"
    cells = (f"{size:,}", f"{count:,}", f"{first[0]:.1f}", f"{first[1]:.1f}", f"{count / seconds:,.0f}", speed)
    print(*cells, f"{min(sizes):.0f}", f"{max(sizes):.0f}")


def memory() -> float:
    """Return RssAnon of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
