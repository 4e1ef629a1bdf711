"""One source of a stream: cleaned rows in shuffled blocks, from any position on.

A pass reads the shards in an order that is a function of (seed, source, pass). After the last row the next pass begins.
Rows are read in blocks of `data.shuffle_rows`, which are cleaned, freed of duplicates, and shuffled.

A position is by value: where the current window of duplicates begins, the number of blocks read since, and the number
of rows taken from the last one. To continue there, the rows of the window are read and hashed again. So a checkpoint
holds neither text nor hashes, and memory does not grow with the stream.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from translator.config import DataConfig, Form, Source
from translator.data.cleaning import DUPLICATE, UNDECODABLE, reason_to_drop
from translator.data.files import DataError, Row
from translator.data.hub import BATCH_ROWS, HubShards, numbered_batches
from translator.data.seen import SeenTable
from translator.data.sources import columns_to_read, describe, read_shard, shards_of, with_links
from translator.data.unchanged import UnchangedFiles
from translator.errors import shorten
from translator.tokenizer.invisible import remove_invisible

_log = logging.getLogger(__name__)

# Where the next row of a pass is: [pass, shard in the order of the pass, state in that shard, rows taken in the pass].
Place = list[Any]


class SourceStream:
    """The endless rows of one source.

    Args:
        source: the source.
        number: number of the source in the mixture.
        data: languages, cleaning and cache.
        form: form of a row.
        seed: random seed of the order.
        is_logged: True if the end of the first pass is logged.

    Raises:
        DataError: if the source cannot be opened; while reading, if it is damaged, breaks off, has changed, lacks a
            column, or holds no row that can be used.
    """

    def __init__(
        self, source: Source, number: int, data: DataConfig, form: Form, seed: int, *, is_logged: bool = False
    ) -> None:
        self._source, self._number, self._data, self._form, self._seed = source, number, data, form, seed
        self._columns = columns_to_read(source, data, form)
        self._wanted = list(source.where.values())
        others = tuple(source.where)
        integer_columns = (*others, self._columns[1]) if form == "labelled" else others
        self._shards = _open_shards(source, data, (*self._columns, *others), integer_columns)
        self._seen = SeenTable(max(data.cleaning.duplicate_window, data.shuffle_rows) + BATCH_ROWS * len(self._columns))
        self._is_logged = is_logged
        self.read = 0
        self.dropped: dict[str, int] = {}
        self._go_to([0, 0, None, 0])

    @property
    def num_shards(self) -> int:
        """Number of files, pairs of files, or shards of the hub data set."""
        return len(self._shards)

    @property
    def position(self) -> dict[str, Any]:
        """Position of the next row, as plain values."""
        return {"window": self._window, "blocks": self._blocks, "taken": self._taken}

    def seek(self, position: dict[str, Any]) -> None:
        """Continue at a position of any stream of the same source and seed."""
        self._go_to(position["window"])
        for _ in range(position["blocks"]):
            self._read_block()
        self._taken = position["taken"]

    def take(self, count: int) -> list[Row]:
        """Return the next rows."""
        rows: list[Row] = []
        while len(rows) < count:
            if self._taken == len(self._block):
                self._read_block()
            some = self._block[self._taken : self._taken + count - len(rows)]
            self._taken += len(some)
            rows += some
        return rows

    def take_of_pass(self, count: int) -> list[Row]:
        """Return up to `count` rows of this pass; none after its end."""
        while self._taken == len(self._block):
            raw = self._read_rows()
            if not raw:
                return []
            self._make_block(raw)
        rows = self._block[self._taken : self._taken + count]
        self._taken += len(rows)
        return rows

    def _go_to(self, place: Place) -> None:
        """Begin a window of duplicates at a place."""
        self._window: Place = place
        self._place = place
        self._batches = self._open(place)
        self._rest: list[Row] = []
        self._seen.clear()
        self._rows_in_window = self._blocks = self._taken = 0
        self._block: list[Row] = []
        self._is_usable = place[3] > 0  # in this pass; a row was kept before this place

    def _read_block(self) -> None:
        """Read the next block, from the next pass where one ends."""
        if self._rows_in_window + self._data.shuffle_rows > self._data.cleaning.duplicate_window and self._blocks:
            self._begin_window()
        while not (raw := self._read_rows()):
            self._end_pass()
        self._make_block(raw)

    def _make_block(self, raw: list[Row]) -> None:
        """Clean and shuffle the rows of a block."""
        order = np.random.default_rng([self._seed, self._number, self._place[0], self._place[3]])
        self._block = self._cleaned(raw)
        self._block = [self._block[row] for row in order.permutation(len(self._block))]
        self._is_usable |= bool(self._block)
        self._rows_in_window += len(raw)
        self._blocks += 1
        self._taken = 0

    def _begin_window(self) -> None:
        """Forget the hashes, so that the next position is relative to this place."""
        self._window = self._place
        self._seen.clear()
        self._rows_in_window = self._blocks = 0

    def _read_rows(self) -> list[Row]:
        """Return the raw rows of the next block, in whole batches; none at the end of the pass."""
        rows: list[Row] = []
        number, shard, state, taken = self._place
        limit = self._source.max_examples
        while len(rows) < self._data.shuffle_rows and (limit is None or taken < limit):
            batch = next(self._batches, None)
            if batch is None:
                if shard + 1 >= self.num_shards:
                    break
                shard, state = shard + 1, None
                self._batches = self._open([number, shard, state, taken])
                continue
            found, state = batch
            usable = self._matching(found)[: None if limit is None else limit - taken]
            if self._form == "aligned":
                usable = [self._with_links(row, number) for number, row in enumerate(usable, taken + 1)]
            rows += usable
            taken += len(usable)
        self._place = [number, shard, state, taken]
        return rows

    def _with_links(self, row: Row, number: int) -> Row:
        origin = f"row {number:,} of {shorten(describe(self._source))}, in the order of this pass"
        return with_links(row, self._source, origin)

    def _end_pass(self) -> None:
        """Go to the beginning of the next pass.

        Raises:
            DataError: if no row of the source can be used.
        """
        number, _, _, taken = self._place
        name = shorten(describe(self._source))
        if not self._is_usable:
            raise DataError(
                f"A stream must hold at least one row that cleaning keeps. Received: {name}, which ended after "
                f"{taken:,} rows with none. Correct the source, its columns or data.cleaning."
            )
        if self._is_logged and number == 0:
            _log.warning("%s ended after %s rows; it is read again, in another order", name, f"{taken:,}")
        self._is_usable = False
        self._place = [number + 1, 0, None, 0]
        self._batches = self._open(self._place)
        self._begin_window()

    def _open(self, place: Place) -> Iterator[tuple[list[Row], Any]]:
        """Return the batches of a shard from a place on."""
        number, shard, state, _ = place
        if shard >= self.num_shards:
            return iter(())
        order = np.arange(self.num_shards)
        if self._source.max_examples is None:  # the first examples are those of the first shards
            order = np.random.default_rng([self._seed, self._number, number]).permutation(order)
        return self._shards.batches(int(order[shard]), state)

    def _matching(self, rows: list[Row]) -> list[Row]:
        """Return the texts of the rows that match `where`."""
        width = len(self._columns)
        if self._wanted:
            rows = [row for row in rows if all(v in vs for v, vs in zip(row[width:], self._wanted, strict=True))]
        if self._form == "texts":
            return [(text,) for row in rows for text in row[:width]]
        return [row[:width] for row in rows] if self._wanted else rows

    def _cleaned(self, raw: list[Row]) -> list[Row]:
        """Return the rows that cleaning keeps, without invisible characters."""
        kept: list[Row] = []
        digests: list[bytes] = []
        cleaning = self._data.cleaning
        self.read += len(raw)
        for row in raw:
            stripped = tuple(remove_invisible(text).strip() for text in row)
            texts = stripped[:2] if self._form == "aligned" else stripped  # links make no row another
            reason = reason_to_drop(stripped, self._form, cleaning)
            if reason is None:
                try:
                    digests.append(hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest())
                except UnicodeEncodeError:
                    reason = UNDECODABLE
            if reason is None:
                kept.append(stripped)
            else:
                self.dropped[reason] = self.dropped.get(reason, 0) + 1
        if cleaning.drop_duplicates and kept:
            is_new = self._seen.add(np.frombuffer(b"".join(digests), np.uint64))
            if not is_new.all():
                self.dropped[DUPLICATE] = self.dropped.get(DUPLICATE, 0) + int((~is_new).sum())
                kept = [kept[row] for row in np.flatnonzero(is_new)]
        return kept


class _FileShards:
    """The shards of a source of files; the state in a shard is the number of rows that were read."""

    def __init__(
        self, source: Source, data: DataConfig, columns: tuple[str, ...], integer_columns: tuple[str, ...]
    ) -> None:
        self._source, self._columns, self._integer_columns = source, columns, integer_columns
        self._files = shards_of(source, data)
        self._unchanged = UnchangedFiles(path for shard in self._files for path in shard)

    def __len__(self) -> int:
        return len(self._files)

    def batches(self, shard: int, state: Any) -> Iterator[tuple[list[Row], Any]]:
        """Yield batches of the rows of a shard, each with the state after it."""
        start, files = state or 0, self._files[shard]
        with self._unchanged.read(files):
            yield from numbered_batches(
                read_shard(self._source, files, self._columns, self._integer_columns, start), start
            )


def _open_shards(
    source: Source, data: DataConfig, columns: tuple[str, ...], integer_columns: tuple[str, ...]
) -> HubShards | _FileShards:
    if source.hub:
        return HubShards(source, columns, integer_columns, describe(source))
    return _FileShards(source, data, columns, integer_columns)
