"""The sources of a configuration, whatever their kind, as rows of strings: pairs, texts, or texts with labels."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from translator.atomic_io import write_whole
from translator.config import DataConfig, Form, Source
from translator.data.embedded import embedded_file
from translator.data.files import (
    TEXT,
    DataError,
    Row,
    columns_of,
    local_path,
    missing_column,
    read_aligned,
    read_table,
)

_ROWS_AT_ONCE = 1000
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_rows(sources: Sequence[Source], data: DataConfig, form: Form = "pairs") -> Iterator[Row]:
    """The rows of these sources one after the other, as they are: nothing is dropped or rewritten.

    Bytes that are not UTF-8 are replaced (U+FFFD). Files are looked for at once, not at the first row.

    Args:
        sources: where they come from.
        data: languages and the cache.
        form: what a row is: source and target text, a text alone, or a text and its label.

    Raises:
        DataError: a source is missing, empty, broken or lacks a column.
    """
    for source in sources:
        for place in _places(source):
            local_path(place, cache_folder(data))
    return (
        tuple(_SURROGATES.sub("\ufffd", text) for text in row)
        for source in sources
        for row in open_source(source, data, form)
    )


def open_source(source: Source, data: DataConfig, form: Form = "pairs") -> Iterator[Row]:
    """The rows of one source that its `where` chooses, with lone surrogates where its bytes are not UTF-8.

    Raises:
        DataError: it is missing, empty, broken or lacks a column.
    """
    is_empty = True
    columns, wanted = _columns(source, data, form), source.where.values()
    rows = _open(source, (*columns, *source.where), columns[1] if form == "labelled" else None, data)
    width = len(columns)
    chosen = (row for row in rows if all(value in values for value, values in zip(row[width:], wanted, strict=True)))
    for row in islice(chosen, source.max_examples):
        is_empty = False
        if form == "texts":
            yield from ((text,) for text in row[:width])
        else:
            yield row[:width]
    if is_empty:
        condition = f" where {dict(source.where)}" if source.where else ""
        raise DataError(
            f"A source must hold at least one row. Received: {describe(source)}, which holds none{condition}."
        )


def describe(source: Source) -> str:
    """A source in a few words, for reports and errors."""
    if source.where:
        chosen = ", ".join(value for values in source.where.values() for value in values)
        return f"{describe(source.model_copy(update={'where': {}}))}: {chosen}"
    if source.hub:
        return " ".join(part for part in (source.hub, source.subset, source.split) if part)
    if source.text:
        return f"{source.text.source} + {source.text.target}"
    if source.file:
        return source.file
    return f"phrasebook {source.phrasebook}" if source.phrasebook else f"sentiment {source.sentiment}"


def cache_folder(data: DataConfig) -> Path:
    """Where downloaded and tokenized text is kept."""
    return Path(data.cache).expanduser()


def identity(source: Source, data: DataConfig, form: Form = "pairs") -> dict[str, Any]:
    """What tells one state of a source from another without reading it: files by path, size and time of change."""
    known = {key: value for key, value in source.model_dump().items() if key != "weight"}
    known["columns"] = _columns(source, data, form)
    files = [local_path(place, cache_folder(data)) for place in _places(source)]
    if source.hub and (folder := Path(source.hub).expanduser()).is_dir():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    elif source.hub:
        known["commit"] = _hub_commit(source, cache_folder(data))
    elif source.phrasebook or source.sentiment:  # by content: its path and time change with each installation
        known["commit"], files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files], []
    known["files"] = [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return known


def _places(source: Source) -> list[str]:
    """The paths and URLs that a source names."""
    if source.text:
        return [source.text.source, source.text.target]
    if source.phrasebook:
        return [str(embedded_file("phrasebook", source.phrasebook))]
    if source.sentiment:
        return [str(embedded_file("sentiment", source.sentiment))]
    return [source.file] if source.file else []


def _open(source: Source, columns: Sequence[str], label: str | None, data: DataConfig) -> Iterator[Row]:
    """These columns of a source's rows; the one named `label` may hold numbers."""
    paths = [local_path(place, cache_folder(data)) for place in _places(source)]
    if source.text:
        return read_aligned(*paths)
    if source.hub:
        return _read_hub(source, columns, label)
    return read_table(paths[0], columns, source.header, label)


def _columns(source: Source, data: DataConfig, form: Form) -> tuple[str, ...]:
    """Names of the columns: as set, else by language or `text` and `label`; the first where a file has no header."""
    match form:
        case "pairs":
            assert data.source_language is not None and data.target_language is not None
            defaults = (data.source_language, data.target_language) if source.header else ("0", "1")
            return source.source_column or defaults[0], source.target_column or defaults[1]
        case "texts":
            return source.text_column or (TEXT if source.header else "0",)
        case "labelled":
            (text,) = source.text_column or (TEXT if source.header else "0",)
            return text, source.label_column or ("label" if source.header else "1")


def _read_hub(source: Source, columns: Sequence[str], label: str | None) -> Iterator[Row]:
    import datasets

    assert source.hub
    folder = Path(source.hub).expanduser()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(
            str(folder) if folder.is_dir() else source.hub,
            source.subset,
            split=source.split,
            revision=source.revision,
            streaming=source.streaming,
        )
        yield from _rows(rows, columns, describe(source), label)
    except DataError:
        raise
    except Exception as error:  # `datasets` and the libraries under it raise of every kind
        raise DataError(
            "A hub data set must be reachable and have the subset and split that are asked for. "
            f"Received: {describe(source)} ({' '.join(str(error).split())})."
        ) from error


def _rows(rows: Any, columns: Sequence[str], origin: str, label: str | None = None) -> Iterator[Row]:
    """Some columns of a `datasets.Dataset` or `datasets.IterableDataset`; numbers of classes by their names."""
    names_of_classes = getattr((rows.features or {}).get(label), "names", None)
    names = rows.column_names
    if names is not None:
        for column in columns:
            if column not in names and "translation" not in names:
                raise missing_column(column, names, origin)
        rows = rows.select_columns([name for name in names if name in (*columns, "translation")])
    for batch in rows.iter(batch_size=_ROWS_AT_ONCE):
        for values in zip(*batch.values(), strict=True):
            row = dict(zip(batch, values, strict=True))
            if names_of_classes and row[label] is not None and row[label] >= 0:  # -1 marks a row without a label
                row[label] = names_of_classes[row[label]]
            yield columns_of(row, columns, origin, label)


def _hub_commit(source: Source, cache: Path) -> str | None:
    """The commit that the hub serves now; where the hub cannot be asked, the one it served last time."""
    from huggingface_hub import HfApi

    assert source.hub
    name = hashlib.sha256(f"{source.hub} {source.revision}".encode()).hexdigest()[:32]
    remembered = cache / "hub" / name
    try:
        commit = HfApi().dataset_info(source.hub, revision=source.revision, timeout=20).sha
    except Exception:  # of whichever HTTP library: the text may still be in the cache, and if not, reading it says why
        return remembered.read_text() if remembered.exists() else source.revision
    if commit:
        remembered.parent.mkdir(parents=True, exist_ok=True)
        write_whole(remembered, commit)
    return commit
