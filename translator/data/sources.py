"""The sources of a configuration, of whatever kind, as rows of strings: pairs, texts, or texts with labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from translator.config import DataConfig, Form, Source
from translator.data.downloads import download, is_url, local_file
from translator.data.embedded import embedded_file
from translator.data.files import TEXT, DataError, Row, read_aligned, read_table
from translator.data.hub import hub_commit, local_folder, read_hub
from translator.data.links import read_links
from translator.errors import shorten
from translator.file_input import cache_directory, expand_user

_SURROGATES = re.compile("[\ud800-\udfff]")


def read_rows(
    sources: Sequence[Source], data: DataConfig, form: Form = "pairs", extra_columns: Sequence[str] = ()
) -> Iterator[Row]:
    """Return the rows of the sources, one source after the other. Nothing is dropped or cleaned.

    Bytes that are not UTF-8 are replaced (U+FFFD). A missing file is reported at once, not at the first row.

    Args:
        sources: the sources.
        data: languages and cache.
        form: content of a row: source and target text, these and their alignment, one text, or a text and its label.
        extra_columns: columns whose values, text or integers, are appended to each row.

    Raises:
        DataError: if a source is missing, empty or damaged, or lacks a column.
    """
    for source in sources:
        _paths(source, data)
    return (
        tuple(_SURROGATES.sub("\ufffd", text) for text in row)
        for source in sources
        for row in open_source(source, data, form, extra_columns)
    )


def open_source(
    source: Source, data: DataConfig, form: Form = "pairs", extra_columns: Sequence[str] = ()
) -> Iterator[Row]:
    """Yield the rows of one source that match its `where`, with lone surrogates for bytes that are not UTF-8.

    Alignments are as `read_links` returns them; those of a source that has none are empty.

    Raises:
        DataError: if the source is missing, empty or damaged, lacks a column, has no text in one of the two columns
            of a translation, or an alignment that is not one of its texts.
    """
    if extra_columns and source.text:
        raise DataError(
            f"Column {extra_columns[0]} requires a source with named columns. "
            f"Received: {shorten(describe(source))}, aligned text files."
        )
    columns, wanted = columns_to_read(source, data, form), source.where.values()
    others = (*extra_columns, *source.where)
    integer_columns = (*others, columns[1]) if form == "labelled" else others
    rows = _open(source, (*columns, *others), integer_columns, data)
    width = len(columns)
    end = width + len(extra_columns)
    chosen = (
        (number, row)
        for number, row in enumerate(rows, 1)
        if all(value in values for value, values in zip(row[end:], wanted, strict=True))
    )
    count = 0
    without_text = {0, 1} if form in ("pairs", "aligned") else set()
    for count, (number, row) in enumerate(islice(chosen, source.max_examples), 1):  # noqa: B007 (used after the loop)
        if without_text:
            without_text = {index for index in without_text if not row[index]}
        if form == "texts":
            yield from ((text, *row[width:end]) for text in row[:width])
        elif form == "aligned":
            yield with_links(row, source, f"row {number} of {shorten(describe(source))}")
        else:
            yield row[:end]
    if not count:
        condition = f" where {shorten(dict(source.where))}" if source.where else ""
        raise DataError(
            f"A source must hold at least one row. Received: {shorten(describe(source))}, which holds none{condition}."
        )
    if without_text:
        names = " and ".join(columns[index] for index in sorted(without_text))
        raise DataError(
            f"A source must hold text in both languages. Received: {shorten(describe(source))}, in which {names} is "
            f"empty in all rows ({count:,}). Set source_column and target_column."
        )


def with_links(row: Row, source: Source, origin: str) -> Row:
    """Return source, target and alignment of a row, as `read_links` returns it; empty if the source has none.

    Args:
        row: source, target and, if the source has them, alignment.
        source: the source of the row.
        origin: description of the row for the error message.

    Raises:
        DataError: if the alignment is not one of the texts.
    """
    if not source.has_alignment:
        return *row[:2], ""
    by_spaces = source.alignment_split == "spaces"
    return *row[:2], read_links(row[0], row[1], row[2], by_spaces=by_spaces, origin=origin)


def describe(source: Source) -> str:
    """Return a short description of a source, for reports and errors."""
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
    """Return the directory of downloaded and tokenized text."""
    return expand_user(data.cache) if data.cache else cache_directory()


def identity(source: Source, data: DataConfig, form: Form = "pairs") -> dict[str, Any]:
    """Return the identity of a source without reading it: for files, path, size and modification time."""
    known = {key: value for key, value in source.model_dump().items() if key != "weight"}
    known["columns"] = columns_to_read(source, data, form)
    files = _paths(source, data)
    if source.hub and (folder := local_folder(source)):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    elif source.hub:
        known["commit"] = hub_commit(source, cache_folder(data))
    elif source.phrasebook or source.sentiment:  # by content: its path and time change with each installation
        known["commit"], files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files], []
    known["files"] = [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return known


def _places(source: Source) -> list[str]:
    """Return the paths and URLs that a source names."""
    if source.text:
        places = (source.text.source, source.text.target, source.text.alignment)
        return [place for place in places if place is not None]
    if source.phrasebook:
        return [str(embedded_file("phrasebook", source.phrasebook))]
    if source.sentiment:
        return [str(embedded_file("sentiment", source.sentiment))]
    return [source.file] if source.file else []


def shards_of(source: Source, data: DataConfig) -> list[tuple[Path, ...]]:
    """Return the local files of a source, shard by shard, after downloading those given by URL.

    A shard is a file, or aligned files.

    Raises:
        DataError: if a file is missing, or patterns match different numbers of files.
    """
    places = [_files(place, data) for place in _places(source)]
    if len({len(files) for files in places}) > 1:
        counts = " and ".join(str(len(files)) for files in places)
        raise DataError(
            f"Aligned files must be the same number. Received: {shorten(describe(source))}, which match {counts} files."
        )
    return list(zip(*places, strict=True))


def _files(place: str, data: DataConfig) -> list[Path]:
    """Return the file of a path or URL, or those that a pattern matches, by name."""
    if is_url(place):
        return [download(place, cache_folder(data))]
    if not set("*?[") & set(place) or expand_user(place).exists():
        return [local_file(place)]
    pattern = expand_user(place)
    root = Path(pattern.anchor)
    found = sorted(root.glob(str(pattern.relative_to(root))))
    if not found:
        raise DataError(f"A source must be a file that exists. Received: {place}, a pattern that matches none.")
    return [local_file(str(path)) for path in found]


def _paths(source: Source, data: DataConfig) -> list[Path]:
    """Return the local files of a source, after downloading those given by URL."""
    return [path for shard in shards_of(source, data) for path in shard]


def _open(source: Source, columns: Sequence[str], integer_columns: Sequence[str], data: DataConfig) -> Iterator[Row]:
    """Return these columns of the rows of a source; those in `integer_columns` may hold integers."""
    if source.hub:
        return read_hub(source, columns, integer_columns, describe(source))
    return chain.from_iterable(read_shard(source, shard, columns, integer_columns) for shard in shards_of(source, data))


def read_shard(
    source: Source, shard: Sequence[Path], columns: Sequence[str], integer_columns: Sequence[str], skip: int = 0
) -> Iterator[Row]:
    """Return these columns of the rows of one shard, from a row on.

    Args:
        source: a source of files.
        shard: its file, or its aligned files.
        columns: names of the columns.
        integer_columns: names of the columns that may hold integers.
        skip: number of rows to pass over.
    """
    if source.text:
        return islice(read_aligned(*shard), skip, None)
    return read_table(shard[0], columns, source.header, integer_columns, skip)


def columns_to_read(source: Source, data: DataConfig, form: Form) -> tuple[str, ...]:
    """Return the names of the columns to read: as configured or by default; numbers if a file has no header."""
    match form:
        case "pairs" | "aligned":
            assert data.source_language is not None and data.target_language is not None
            defaults = (data.source_language, data.target_language) if source.header else ("0", "1")
            texts = source.source_column or defaults[0], source.target_column or defaults[1]
            if form == "pairs" or not source.has_alignment:
                return texts
            return *texts, source.alignment_column or "alignment"
        case "texts":
            return source.text_column or (TEXT if source.header else "0",)
        case "labelled":
            (text,) = source.text_column or (TEXT if source.header else "0",)
            return text, source.label_column or ("label" if source.header else "1")
