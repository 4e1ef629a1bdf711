"""Data sets of the Hugging Face hub, and local folders of the same form."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from translator.atomic_io import atomic_write
from translator.config import Source
from translator.data.files import DataError, Row, columns_of, missing_column, read_delimited
from translator.data.unchanged import UnchangedFiles
from translator.errors import shorten
from translator.file_input import expand_user

BATCH_ROWS = 1000
# Options of CSV that do not say how its text is parsed, or that `read_delimited` takes into account.
_FREE_CSV_OPTIONS = ("name", "version", "data_dir", "data_files", "description", "features", "sep", "delimiter")


def local_folder(source: Source) -> Path | None:
    """Return the folder that `hub` names, or None if it names a data set of the hub."""
    assert source.hub
    folder = expand_user(source.hub)
    return folder if folder.is_dir() else None


def read_hub(source: Source, columns: Sequence[str], integer_columns: Collection[str], origin: str) -> Iterator[Row]:
    """Yield some columns of each row of a hub data set.

    Args:
        source: a source with `hub`.
        columns: names of the columns to read, in this order.
        integer_columns: names of the columns that may hold integers, or class numbers, which are read by their names.
        origin: description of the source for error messages.

    Raises:
        DataError: if the data set, its subset, split or a column is missing, or if it cannot be read.
    """
    with _hub_errors(origin):
        rows = _load(source)
        if isinstance(rows, list):
            for path in rows:
                yield from _read_csv_file(path, columns)
            return
        for batch in _rows(_selected(rows, columns, origin), columns, origin, integer_columns):
            yield from batch


class HubShards:
    """The shards of a hub data set, read as streams from any of their rows on.

    Args:
        source: a source with `hub` and `streaming`.
        columns: names of the columns to read, in this order.
        integer_columns: names of the columns that may hold integers, or class numbers, which are read by their names.
        origin: description of the source for error messages.

    Raises:
        DataError: as `read_hub`, also while reading.
    """

    def __init__(self, source: Source, columns: Sequence[str], integer_columns: Collection[str], origin: str) -> None:
        self._columns, self._integer_columns, self._origin = columns, integer_columns, origin
        with _hub_errors(origin):
            loaded = _load(source)
            self._rows: Any = loaded if isinstance(loaded, list) else _selected(loaded, columns, origin)
            self._unchanged = UnchangedFiles(file.path for file in loaded) if isinstance(loaded, list) else None

    def __len__(self) -> int:
        return len(self._rows) if isinstance(self._rows, list) else int(self._rows.num_shards)

    def batches(self, shard: int, state: Any) -> Iterator[tuple[list[Row], Any]]:
        """Yield batches of the rows of a shard, each with the state after it.

        Args:
            shard: number of the shard.
            state: state after the last batch that was read, as plain values; None for the beginning.
        """
        with _hub_errors(self._origin):
            if self._unchanged is not None:
                file = self._rows[shard]
                with self._unchanged.read([file.path]):
                    rows = islice(_read_csv_file(file, self._columns), state or 0, None)
                    yield from numbered_batches(rows, state or 0)
                return
            data = self._rows.shard(len(self), shard)
            if state is not None:
                data.load_state_dict(state)
            for batch in _rows(data, self._columns, self._origin, self._integer_columns):
                yield list(batch), data.state_dict()


def numbered_batches(rows: Iterator[Row], start: int) -> Iterator[tuple[list[Row], int]]:
    """Yield rows in batches, each with the number of the row after it, given the number of the first row."""
    while batch := list(islice(rows, BATCH_ROWS)):
        start += len(batch)
        yield batch, start


@contextmanager
def _hub_errors(origin: str) -> Iterator[None]:
    """Raise DataError in place of the errors of `datasets` and the libraries below it, which are of many classes."""
    try:
        yield
    except (DataError, GeneratorExit):
        raise
    except Exception as error:  # of any class, raised again with its message and as the cause
        raise DataError(
            "A hub data set must be reachable and have the subset and split that are asked for. "
            f"Received: {shorten(origin)} ({shorten(' '.join(str(error).split()))})."
        ) from error


def _load(source: Source) -> Any:
    """Return a `datasets.Dataset` or `IterableDataset`, or the paths of the files of a data set of CSV files.

    pandas would read "NA" and "null" as missing values, numbers without their leading zeros, quotes in TSV as quotes,
    and missing fields at the end of a row as empty ones. CSV files are read like one that is given as `file`.
    """
    import datasets

    name = str(local_folder(source) or source.hub)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    builder = datasets.load_dataset_builder(name, source.subset, revision=source.revision)
    options = {}
    if hasattr(builder.config, "na_filter"):  # CSV or TSV, which `datasets` reads through pandas
        if _is_plain_csv(builder.config):
            return _csv_files(builder.config, source.split)
        options["na_filter"] = False  # "NA", "null" and "None" are texts
    return datasets.load_dataset(
        name, source.subset, split=source.split, revision=source.revision, streaming=source.streaming, **options
    )


def _is_plain_csv(config: Any) -> bool:
    """Return True if a data set of CSV files sets no option of pandas other than the delimiter."""
    default = type(config)()
    names = [field.name for field in dataclasses.fields(config) if field.name not in _FREE_CSV_OPTIONS]
    return config.sep in (",", ";", "\t") and all(getattr(config, name) == getattr(default, name) for name in names)


@dataclasses.dataclass(frozen=True)
class _CsvFile:
    path: Path
    is_csv: bool


def _csv_files(config: Any, split: str) -> list[_CsvFile]:
    """Return the local CSV files of a split."""
    import datasets

    if split not in config.data_files:
        splits = ", ".join(map(str, config.data_files))
        raise ValueError(f"CSV data has the splits {splits}; for the beginning of one, set max_examples")
    paths = datasets.DownloadManager().download(list(config.data_files[split]))
    return [_CsvFile(Path(path), config.sep != "\t") for path in paths]


def _read_csv_file(file: _CsvFile, columns: Sequence[str]) -> Iterator[Row]:
    return read_delimited(file.path, columns, header=True, is_csv=file.is_csv)


def _selected(rows: Any, columns: Sequence[str], origin: str) -> Any:
    """Return a `datasets.Dataset` or `IterableDataset` of the columns to read.

    Raises:
        DataError: if a column is missing.
    """
    names = rows.column_names
    if names is None:
        return rows
    for column in columns:
        if column not in names and "translation" not in names:
            raise missing_column(column, names, origin)
    return rows.select_columns([name for name in names if name in (*columns, "translation")])


def _rows(
    rows: Any, columns: Sequence[str], origin: str, integer_columns: Collection[str] = ()
) -> Iterator[Iterator[Row]]:
    """Yield batches of a data set that `_selected` returned; class numbers by their names.

    Raises:
        DataError: if a column is missing or does not hold text.
    """
    features = rows.features or {}
    class_names = {name: getattr(features.get(name), "names", None) for name in integer_columns}
    for batch in rows.iter(batch_size=BATCH_ROWS):
        yield (_row(batch, values, class_names, columns, origin) for values in zip(*batch.values(), strict=True))


def _row(
    batch: Mapping[str, Any],
    values: Sequence[Any],
    class_names: Mapping[str, Sequence[str] | None],
    columns: Sequence[str],
    origin: str,
) -> Row:
    """Return some columns of one row of a batch."""
    row = dict(zip(batch, values, strict=True))
    for name, classes in class_names.items():
        if classes and row[name] is not None and row[name] >= 0:  # -1 marks a row without a label
            row[name] = classes[row[name]]
    return columns_of(row, columns, origin, tuple(class_names))


def hub_commit(source: Source, cache: Path) -> str | None:
    """Return the commit that the hub serves now or, if the hub cannot be reached, the one that it served last."""
    from huggingface_hub import HfApi

    assert source.hub
    name = hashlib.sha256(f"{source.hub} {source.revision}".encode()).hexdigest()[:32]
    remembered = cache / "hub" / name
    try:
        commit = HfApi().dataset_info(source.hub, revision=source.revision, timeout=20).sha
    except Exception:  # depends on the HTTP library; if the text is not in the cache either, reading it reports why
        return remembered.read_text() if remembered.exists() else source.revision
    if commit:
        remembered.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(remembered, commit)
    return commit
