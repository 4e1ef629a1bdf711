"""The sources of a configuration, whatever their kind, as pairs of strings."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from translator.config import DataConfig, Source
from translator.data.files import DataError, Pair, Row, columns_of, local_path, missing_column, read_aligned, read_table

_ROWS_AT_ONCE = 1000
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_pairs(sources: Sequence[Source], data: DataConfig) -> Iterator[Pair]:
    """The pairs of these sources one after the other, as they are: nothing is dropped or rewritten.

    Bytes that are not UTF-8 are replaced (U+FFFD). Files are looked for at once, not at the first pair.

    Raises:
        DataError: a source is missing, empty, broken or lacks a column.
    """
    for source in sources:
        for place in _places(source):
            local_path(place, cache_folder(data))
    return (
        (_SURROGATES.sub("\ufffd", pair[0]), _SURROGATES.sub("\ufffd", pair[1]))
        for source in sources
        for pair in open_source(source, data)
    )


def open_source(source: Source, data: DataConfig) -> Iterator[Pair]:
    """The pairs of one source that its `where` chooses, with lone surrogates where its bytes are not UTF-8.

    Raises:
        DataError: it is missing, empty, broken or lacks a column.
    """
    is_empty = True
    wanted = source.where.values()
    rows = _open(source, data)
    chosen = (row for row in rows if all(value in values for value, values in zip(row[2:], wanted, strict=True)))
    for row in islice(chosen, source.max_examples):
        is_empty = False
        yield row[0], row[1]
    if is_empty:
        condition = f" where {dict(source.where)}" if source.where else ""
        raise DataError(
            f"A source must hold at least one pair. Received: {describe(source)}, which holds none{condition}."
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
    return source.file or f"phrasebook {source.phrasebook}"


def cache_folder(data: DataConfig) -> Path:
    """Where downloaded and tokenized text is kept."""
    return Path(data.cache).expanduser()


def identity(source: Source, data: DataConfig) -> dict[str, Any]:
    """What tells one state of a source from another without reading it: files by path, size and time of change."""
    known = {key: value for key, value in source.model_dump().items() if key != "weight"}
    known["columns"] = _columns(source, data)
    files = [local_path(place, cache_folder(data)) for place in _places(source)]
    if source.hub and (folder := Path(source.hub).expanduser()).is_dir():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    elif source.hub:
        known["commit"] = _hub_commit(source, cache_folder(data))
    elif source.phrasebook:
        known["commit"] = _phrasebook_files()
    known["files"] = [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return known


def _places(source: Source) -> list[str]:
    """The paths and URLs that a source names."""
    if source.text:
        return [source.text.source, source.text.target]
    return [source.file] if source.file else []


def _open(source: Source, data: DataConfig) -> Iterator[Row]:
    """The rows of a source: source text, target text and the columns that `where` asks about."""
    columns = (*_columns(source, data), *source.where)
    paths = [local_path(place, cache_folder(data)) for place in _places(source)]
    if source.text:
        return read_aligned(*paths)
    if source.file:
        return read_table(paths[0], columns, source.header)
    if source.phrasebook:
        from translator.data import phrasebook

        return _rows(phrasebook.load(source.phrasebook), columns, describe(source))
    return _read_hub(source, columns)


def _columns(source: Source, data: DataConfig) -> tuple[str, str]:
    """Names of the two columns: as set, else by language; the first two where a file has no header."""
    defaults = (data.source_language, data.target_language) if source.header else ("0", "1")
    return source.source_column or defaults[0], source.target_column or defaults[1]


def _read_hub(source: Source, columns: Sequence[str]) -> Iterator[Row]:
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
        yield from _rows(rows, columns, describe(source))
    except DataError:
        raise
    except Exception as error:  # `datasets` and the libraries under it raise of every kind
        raise DataError(
            "A hub data set must be reachable and have the subset and split that are asked for. "
            f"Received: {describe(source)} ({' '.join(str(error).split())})."
        ) from error


def _rows(rows: Any, columns: Sequence[str], origin: str) -> Iterator[Row]:
    """Some columns of a `datasets.Dataset` or `datasets.IterableDataset`."""
    names = rows.column_names
    if names is not None:
        for column in columns:
            if column not in names and "translation" not in names:
                raise missing_column(column, names, origin)
        rows = rows.select_columns([name for name in names if name in (*columns, "translation")])
    for batch in rows.iter(batch_size=_ROWS_AT_ONCE):
        for values in zip(*batch.values(), strict=True):
            yield columns_of(dict(zip(batch, values, strict=True)), columns, origin)


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
        remembered.write_text(commit)
    return commit


def _phrasebook_files() -> list[list[Any]]:
    """The files that the embedded corpus is made from, by content: their times change with each installation."""
    from translator.data import phrasebook

    folder = Path(phrasebook.__file__).parent
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return [[str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()] for path in files]
