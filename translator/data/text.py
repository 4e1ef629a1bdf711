"""Cleaned text of the sources, stored as UTF-8 in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np

from translator.config import CleaningConfig, DataConfig, Form, Source
from translator.data.cleaning import DUPLICATE, UNDECODABLE, Progress, SourceReport, find_duplicates, reason_to_drop
from translator.data.files import Row
from translator.data.sources import cache_folder, describe, identity, open_source
from translator.data.store import IntArray, MappedArray, MappedRagged, RaggedWriter, build_once
from translator.tokenizer.invisible import remove_invisible

# Texts of a row, by form.
SIDES: dict[Form, tuple[str, ...]] = {
    "pairs": ("source", "target"),
    "aligned": ("source", "target", "links"),
    "texts": ("source",),
    "labelled": ("source", "target"),
}

_FORMAT = 2  # version of the cached text; raise it when content or layout changes
_BUCKETS = 64
_BUFFERED_ROWS = 4096
_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class CleanText:
    """Cleaned rows in the cache, numbered from 0 in the order of the sources. Duplicates are stored, but not kept.

    Attributes:
        fingerprint: hash of everything that determines the rows, including paths and modification times of files.
        content: hash of the text alone, independent of paths.
        report: number of rows read, dropped and kept per source.
        stored_bounds: rows of source i have the numbers `stored_bounds[i]` to `stored_bounds[i + 1] - 1`.
    """

    fingerprint: str
    content: str
    report: tuple[SourceReport, ...]
    stored_bounds: tuple[int, ...]
    _sides: tuple[MappedRagged, ...]
    _kept: MappedArray

    def __len__(self) -> int:
        return len(self._kept)

    def kept(self, rows: slice) -> IntArray:
        """Return the numbers of a slice of the kept rows: `(n,)` int64."""
        numbers = self._kept.values[rows].copy()
        self._kept.release()
        return numbers

    def take(self, numbers: IntArray) -> tuple[list[str], ...]:
        """Return the texts of the given rows, one list per side."""
        sides = (side.take(numbers) for side in self._sides)
        return tuple(_texts(side.values, side.offsets) for side in sides)

    def source_of(self, numbers: IntArray) -> IntArray:
        """Return the index of the source of each row: `(n,)` int64."""
        return np.searchsorted(np.array(self.stored_bounds[1:]), numbers, side="right")


def clean_text(sources: Sequence[Source], data: DataConfig, form: Form, log: Callable[[str], None]) -> CleanText:
    """Return the cleaned text of sources, from the cache if it is there.

    Raises:
        DataError: if a source cannot be read.
    """
    known: list[object] = [_FORMAT, [identity(source, data, form) for source in sources], data.cleaning.model_dump()]
    if form != "pairs":
        known.append(form)
    fingerprint = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]
    folder = build_once(
        cache_folder(data) / "text" / fingerprint, lambda temporary: _clean(temporary, sources, data, form, log)
    )
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return CleanText(
        fingerprint=fingerprint,
        content=meta["content"],
        report=tuple(SourceReport(**report) for report in meta["report"]),
        stored_bounds=tuple(meta["stored_bounds"]),
        _sides=tuple(MappedRagged(folder, side, np.uint8) for side in SIDES[form]),
        _kept=MappedArray(folder / "kept", np.int64),
    )


def _clean(folder: Path, sources: Sequence[Source], data: DataConfig, form: Form, log: Callable[[str], None]) -> None:
    """Write the cleaned rows of the sources into a directory of the cache."""
    counts: list[dict[str, int]] = []
    bounds = [0]
    with _TextWriter(folder, form, log) as writer:
        for source in sources:
            dropped: dict[str, int] = {}
            for row in open_source(source, data, form):
                reason = writer.add(row, data.cleaning)
                if reason:
                    dropped[reason] = dropped.get(reason, 0) + 1
            counts.append(dropped)
            bounds.append(writer.num_rows)
    is_kept = np.ones(writer.num_rows, np.bool_)
    if data.cleaning.drop_duplicates:
        for duplicates in writer.hashes.duplicates():
            is_kept[duplicates] = False
    writer.hashes.remove()
    reports = []
    with (folder / "kept").open("wb") as file:
        for source, dropped, start, stop in zip(sources, counts, bounds, bounds[1:], strict=False):
            kept = 0
            for first in range(start, stop, _ROWS_AT_ONCE):
                numbers = first + np.flatnonzero(is_kept[first : min(first + _ROWS_AT_ONCE, stop)])
                file.write(numbers.astype(np.int64).tobytes())
                kept += len(numbers)
            read = stop - start + sum(dropped.values())
            if stop - start > kept:
                dropped[DUPLICATE] = stop - start - kept
            reports.append(SourceReport(describe(source), read, kept, dropped))
    meta = {
        "content": writer.content.hexdigest(),
        "report": [asdict(report) for report in reports],
        "stored_bounds": bounds,
    }
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


class _TextWriter:
    """Writer of rows, and of the hashes for duplicates and for the fingerprint of the content."""

    def __init__(self, folder: Path, form: Form, log: Callable[[str], None]) -> None:
        self._form = form
        self.num_rows = 0
        self.content = hashlib.sha256()
        self.hashes = _HashBuckets(folder)
        self._progress = Progress("Reading", None, log)
        self._writers = [RaggedWriter(folder, side) for side in SIDES[form]]
        self._texts: list[list[bytes]] = [[] for _ in self._writers]
        self._digests: list[bytes] = []

    def __enter__(self) -> _TextWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
        for writer in self._writers:
            writer.__exit__(kind, error, trace)
        self.hashes.close()

    def add(self, row: Row, cleaning: CleaningConfig) -> str | None:
        """Write a row, or return the reason to drop it."""
        stripped = tuple(remove_invisible(text).strip() for text in row)
        if reason := reason_to_drop(stripped, self._form, cleaning):
            return reason
        try:
            texts = [text.encode() for text in stripped]
        except UnicodeEncodeError:
            return UNDECODABLE
        for side, text in zip(self._texts, texts, strict=True):
            side.append(text)
        if self._form == "aligned":  # two pairs that differ in their links alone are duplicates
            self.content.update(b"%d %b" % (len(texts[2]), texts.pop()))
        lengths = b" ".join(b"%d" % len(text) for text in texts[:-1])
        self._digests.append(hashlib.blake2b(b"%b %b" % (lengths, b"".join(texts)), digest_size=16).digest())
        self.num_rows += 1
        if len(self._digests) == _BUFFERED_ROWS:
            self._flush()
        return None

    def _flush(self) -> None:
        for writer, texts in zip(self._writers, self._texts, strict=True):
            writer.write(b"".join(texts), np.fromiter(map(len, texts), np.int64, len(texts)))
            texts.clear()
        digests = b"".join(self._digests)
        self._digests.clear()
        self.content.update(digests)
        self.hashes.write(np.frombuffer(digests, np.uint64)[::2], self.num_rows)
        self._progress.reached(self.num_rows)


class _HashBuckets:
    """Row hashes on disk, partitioned by value: equal hashes share a bucket, and a bucket fits in memory."""

    def __init__(self, folder: Path) -> None:
        self._paths = [folder / f"hashes-{number}" for number in range(_BUCKETS)]
        self._files = [path.open("wb") for path in self._paths]

    def write(self, hashes: IntArray, end: int) -> None:
        """Append the hashes of the rows up to number `end`."""
        rows = np.stack([hashes, np.arange(end - len(hashes), end, dtype=np.uint64)], axis=1)
        bucket = hashes % np.uint64(_BUCKETS)
        for number in range(_BUCKETS):
            self._files[number].write(rows[bucket == number].tobytes())

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def duplicates(self) -> Iterator[IntArray]:
        """Yield the numbers of all but the first of equal rows, one array per bucket."""
        for path in self._paths:
            rows = np.fromfile(path, np.uint64).reshape(-1, 2)
            yield find_duplicates(rows[:, 0], rows[:, 1].astype(np.int64))

    def remove(self) -> None:
        """Delete the files."""
        for path in self._paths:
            path.unlink()


def _texts(values: IntArray, offsets: IntArray) -> list[str]:
    """Return rows of UTF-8 as strings."""
    encoded = values.tobytes()
    ends = offsets.tolist()
    return [encoded[start:end].decode() for start, end in pairwise(ends)]
