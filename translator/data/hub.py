"""Data sets of the Hugging Face hub, and local folders of the same form."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from translator.atomic_io import atomic_write
from translator.config import Source
from translator.data.files import DataError, Row, columns_of, missing_column, read_delimited
from translator.errors import shorten
from translator.file_input import expand_user

_BATCH_SIZE = 1000  # rows
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
    import datasets

    name = str(local_folder(source) or source.hub)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        builder = datasets.load_dataset_builder(name, source.subset, revision=source.revision)
        options = {}
        if hasattr(builder.config, "na_filter"):  # CSV or TSV, which `datasets` reads through pandas
            if _is_plain_csv(builder.config):
                yield from _read_csv_files(builder.config, source.split, columns)
                return
            options["na_filter"] = False  # "NA", "null" and "None" are texts
        rows = datasets.load_dataset(
            name,
            source.subset,
            split=source.split,
            revision=source.revision,
            streaming=source.streaming,
            **options,
        )
        yield from _rows(rows, columns, origin, integer_columns)
    except DataError:
        raise
    except Exception as error:  # `datasets` and the libraries below it raise exceptions of many classes
        raise DataError(
            "A hub data set must be reachable and have the subset and split that are asked for. "
            f"Received: {shorten(origin)} ({shorten(' '.join(str(error).split()))})."
        ) from error


def _is_plain_csv(config: Any) -> bool:
    """Return True if a data set of CSV files sets no option of pandas other than the delimiter."""
    default = type(config)()
    names = [field.name for field in dataclasses.fields(config) if field.name not in _FREE_CSV_OPTIONS]
    return config.sep in (",", ";", "\t") and all(getattr(config, name) == getattr(default, name) for name in names)


def _read_csv_files(config: Any, split: str, columns: Sequence[str]) -> Iterator[Row]:
    """Yield rows of the CSV files of a split, by the same rules as a CSV file that is given as `file`.

    pandas would read "NA" and "null" as missing values, numbers without their leading zeros, quotes in TSV as quotes,
    and missing fields at the end of a row as empty ones.
    """
    import datasets

    if split not in config.data_files:
        splits = ", ".join(map(str, config.data_files))
        raise ValueError(f"CSV data has the splits {splits}; for the beginning of one, set max_examples")
    for path in datasets.DownloadManager().download(list(config.data_files[split])):
        yield from read_delimited(Path(path), columns, header=True, is_csv=config.sep != "\t")


def _rows(rows: Any, columns: Sequence[str], origin: str, integer_columns: Collection[str] = ()) -> Iterator[Row]:
    """Yield some columns of a `datasets.Dataset` or `datasets.IterableDataset`; class numbers by their names.

    Raises:
        DataError: if a column is missing or does not hold text.
    """
    features = rows.features or {}
    class_names = {name: getattr(features.get(name), "names", None) for name in integer_columns}
    names = rows.column_names
    if names is not None:
        for column in columns:
            if column not in names and "translation" not in names:
                raise missing_column(column, names, origin)
        rows = rows.select_columns([name for name in names if name in (*columns, "translation")])
    for batch in rows.iter(batch_size=_BATCH_SIZE):
        for values in zip(*batch.values(), strict=True):
            row = dict(zip(batch, values, strict=True))
            for name, classes in class_names.items():
                if classes and row[name] is not None and row[name] >= 0:  # -1 marks a row without a label
                    row[name] = classes[row[name]]
            yield columns_of(row, columns, origin, integer_columns)


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
