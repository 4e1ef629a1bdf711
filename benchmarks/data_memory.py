"""Memory of the data pipeline: peak resident memory of building and streaming corpora of several sizes.

    python benchmarks/data_memory.py --sizes 100000 1000000

For each size, one process reads artificial pairs (a number and 20 words per side) from Parquet, cleans, tokenizes and
caches them. Another process opens the cache and streams batches. VmRSS includes mapped files, RssAnon does not. With
`--alpha` above 0 the stream uses subword sampling.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

WORDS = ["le", "la", "un", "une", "et", "dans", "avec", "homme", "femme", "enfant", "maison", "chien", "été"]
COLUMNS = ("pairs", "phase", "seconds", "peak VmRSS", "peak RssAnon", "target tokens/s")


def main() -> None:
    """Measure and print one row per size and phase."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--alpha", type=float, default=0.0, help="alpha of subword sampling")
    parser.add_argument("--batches", type=int, default=300, help="batches of 4,096 target tokens to stream")
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "PHASE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(Path(arguments.measure[0]), arguments.measure[1], arguments.alpha, arguments.batches)
        return
    rows = [COLUMNS]
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_pairs(Path(folder), size)
            for phase in ("build", "stream"):
                command = [
                    sys.executable,
                    __file__,
                    "--alpha",
                    str(arguments.alpha),
                    "--batches",
                    str(arguments.batches),
                ]
                answer = subprocess.run(
                    [*command, "--measure", folder, phase], check=True, stdout=subprocess.PIPE, text=True
                )
                rows.append((f"{size:,}", phase, *answer.stdout.split()))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def write_pairs(folder: Path, count: int) -> None:
    """Write artificial pairs in row groups of 10,000, and a tokenizer trained on the first group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from translator.config import TokenizerConfig
    from translator.tokenizer import Tokenizers

    rng = random.Random(0)
    schema = pa.schema([("fr", pa.string()), ("en", pa.string())])
    with pq.ParquetWriter(folder / "train.parquet", schema) as writer:
        for start in range(0, count, 10_000):
            texts = [
                [f"{start + row} " + " ".join(rng.choices(WORDS, k=20)) for row in range(10_000)] for _ in range(2)
            ]
            writer.write_table(pa.table(texts, schema=schema))
            if start == 0:
                pairs = zip(*texts, strict=True)
                Tokenizers.train(pairs, TokenizerConfig(vocab_size=400), seed=1).save(folder)


def measure(folder: Path, phase: str, alpha: float, num_batches: int) -> None:
    """Build or open the corpus, stream batches, and print the columns after `phase`."""
    from translator.config import DataConfig, Source
    from translator.data.batching import BatchStream
    from translator.data.corpus import load_corpus
    from translator.tokenizer import Tokenizers

    source = Source(file=str(folder / "train.parquet"))
    data = DataConfig(source_language="fr", target_language="en", train=(source,), cache=str(folder / "cache"))
    peaks = {"VmRSS": 0, "RssAnon": 0}
    threading.Thread(target=watch, args=(peaks,), daemon=True).start()
    start = time.perf_counter()
    corpus = load_corpus(
        data.train,
        data,
        Tokenizers.load(folder),
        sampling_alpha=alpha,
        seed=1,
        max_positions=256,
        log=lambda line: None,
    )
    loaded = time.perf_counter()
    batches = BatchStream(corpus, seed=1, batch_tokens=4096)
    tokens = 0
    if phase == "stream":
        next(batches)
        started = time.perf_counter()
        tokens = sum(next(batches).num_target_tokens for _ in range(num_batches))
        seconds = time.perf_counter() - started
    else:
        seconds = loaded - start
    time.sleep(0.05)
    speed = f"{tokens / seconds:,.0f}" if tokens else "-"
    print(f"{seconds:.1f}", *(f"{peaks[name] / 1024:.0f}MiB" for name in ("VmRSS", "RssAnon")), speed)


def watch(peaks: dict[str, int]) -> None:
    """Record the peaks of this process's memory in KiB."""
    while True:
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in peaks:
                peaks[name] = max(peaks[name], int(value.split()[0]))
        time.sleep(0.01)


if __name__ == "__main__":
    main()
