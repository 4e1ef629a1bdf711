"""A small made-up language pair, its sources and its batches, for the tests of the data."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from translator.config import DataConfig, Source
from translator.data.batching import Batch, BatchStream
from translator.data.corpus import Corpus
from translator.data.examples import Chunk, Sharing

SYLLABLES = ("ba", "co", "di", "fé", "gu", "la", "mo", "né", "pi", "ru", "sa", "to", "vi", "zè")


def make_pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Distinct pairs of 2 to 12 words; the source is somewhat longer than the target, as French is."""
    rng = random.Random(seed)
    pairs: dict[tuple[str, str], None] = {}
    while len(pairs) < count:
        words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(rng.randint(2, 12))]
        pairs[" ".join(words), " ".join(word[::-1] for word in words[: max(1, len(words) - rng.randint(0, 2))])] = None
    return list(pairs)


def write_text(folder: Path, pairs: Sequence[tuple[str, str]], name: str = "train") -> dict[str, Any]:
    """Write aligned files; returns them as a source."""
    paths = folder / f"{name}.fr", folder / f"{name}.en"
    for path, lines in zip(paths, zip(*pairs, strict=True), strict=True):
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return {"text": {"source": str(paths[0]), "target": str(paths[1])}}


def data_config(cache: Path, *sources: dict[str, Any], **options: Any) -> DataConfig:
    return DataConfig(
        source_language="fr",
        target_language="en",
        train=tuple(Source.model_validate(source) for source in sources),
        cache=str(cache),
        **options,
    )


def stream(corpus: Corpus, **options: Any) -> BatchStream:
    return BatchStream(corpus, **({"seed": 1, "batch_tokens": 512} | options))


def contents(batch: Batch) -> tuple[Any, ...]:
    """All that a batch holds, without padding, as plain numbers."""
    count = batch.num_target_tokens
    source, target = (
        [row.tolist() for row in side.unpack() if len(row)] for side in (batch.source, batch.target_input)
    )
    return batch.index, source, target, batch.labels[:count].tolist()


def take(batches: Iterable[Batch], count: int) -> list[tuple[Any, ...]]:
    return [contents(batch) for batch in islice(batches, count)]


def sharings(count: int) -> list[Sharing]:
    """Return the sharing of each of several ranks that are threads of this process."""
    barrier, sent = threading.Barrier(count, timeout=60), [Chunk.empty((0, 0))] * count

    def exchange(rank: int, read: Callable[[], Chunk]) -> list[Chunk]:
        sent[rank] = read()
        barrier.wait()
        chunks = list(sent)
        barrier.wait()
        return chunks

    return [Sharing(rank, count, partial(exchange, rank)) for rank in range(count)]
