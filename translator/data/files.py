"""Text from files: aligned lines, CSV and TSV, JSON, Parquet.

Readers yield rows of strings and hold a part of the file at a time. Bytes that are not UTF-8 become lone surrogates
(Python's `surrogateescape`), so that the caller can drop the row or replace them. Compression and UTF-16 are recognized
by content (`translator.file_input`).
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import unicodedata
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from translator.config import UserError
from translator.errors import shorten
from translator.file_input import open_text

Row = tuple[str, ...]
TEXT = "text"  # the column of a .txt file

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_DELIMITERS = (",", ";")  # Office programs write semicolons where the decimal mark is a comma
_MAX_FIELD_SIZE = 2**31 - 1
_PROBED_ROWS = 100
_CARRIAGE_RETURNS = r'Lines must end with "\n"; this one contains "\r" alone.'


class DataError(UserError):
    """Text that is missing, damaged or not in the required form."""


def read_aligned(*paths: Path) -> Iterator[Row]:
    """Yield line n of each file.

    Raises:
        DataError: if a file cannot be read or the numbers of lines differ.
    """
    readers = [read_lines(path) for path in paths]
    for number, lines in enumerate(itertools.zip_longest(*readers)):
        if None in lines:
            counts = [
                number + (line is not None) + sum(1 for _ in reader)
                for line, reader in zip(lines, readers, strict=True)
            ]
            (first, count), *others = zip(paths, counts, strict=True)
            listed = "".join(f", {path} with {number}" for path, number in others)
            raise DataError(
                f"Aligned files must have the same number of lines. Received: {first} with {count} lines{listed}."
            )
        yield lines


def read_lines(path: Path) -> Iterator[str]:
    r"""Yield the lines of a file. Lines end at "\n" only; a "\r" before it is removed, and so is a byte order mark.

    Raises:
        DataError: if the file cannot be read.
    """
    with _open(path) as file:
        for line in file:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")


def read_table(
    path: Path, columns: Sequence[str], header: bool, integer_columns: Collection[str] = (), skip: int = 0
) -> Iterator[Row]:
    """Yield some columns of each row of a file whose format is given by its suffix.

    Args:
        path: .parquet, .jsonl, .json, .csv, .tsv, or .txt with the one column `text`; all but Parquet may be
            compressed.
        columns: names of the columns to read, in this order.
        header: True if the first line of a .csv or .tsv file names the columns.
        integer_columns: names of the columns that may hold integers as well.
        skip: number of rows to pass over; those of Parquet are not read.

    Raises:
        DataError: if the file cannot be read, is of another format, or lacks a column.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _COMPRESSED]
    kind = suffixes[-1] if suffixes else ""
    if kind == ".parquet":
        return _read_parquet(path, columns, integer_columns, skip)
    if kind in (".jsonl", ".json"):
        rows = _read_json(path, columns, integer_columns, whole=kind == ".json")
        return itertools.islice(rows, skip, None)
    if kind in (".csv", ".tsv"):
        return itertools.islice(read_delimited(path, columns, header, is_csv=kind == ".csv"), skip, None)
    if kind == ".txt" and set(columns) == {TEXT}:
        return ((line,) * len(columns) for line in itertools.islice(read_lines(path), skip, None))
    raise DataError(
        f"A source file must be .parquet, .jsonl, .json, .csv or .tsv, or .txt for text alone. Received: {path}. "
        "For two files of aligned lines use text: {source: …, target: …}."
    )


def columns_of(
    row: Mapping[str, Any], columns: Sequence[str], origin: str, integer_columns: Collection[str] = ()
) -> Row:
    """Return some columns of one row, each from the row itself or from its column `translation`.

    A null value is the empty text. So is a language that this row has no translation for, if `translation` is a list
    of languages and translations or a map, in which languages may differ from row to row.

    Args:
        row: column values by name.
        columns: names of the columns to return, in this order.
        origin: description of the row for the error message.
        integer_columns: names of the columns that may hold integers as well.

    Raises:
        DataError: if a column is missing or does not hold text.
    """
    nested = row.get("translation")
    fixed = nested if isinstance(nested, Mapping) else {}
    by_language = variable_translations(nested)
    values = []
    for column in columns:
        if column in row:
            value = row[column]
        elif by_language is not None:
            value = by_language.get(column)
        elif column in fixed:
            value = fixed[column]
        elif nested is None and "translation" in row:
            value = None
        else:
            raise missing_column(column, [*row, *(f"translation.{name}" for name in fixed)], origin)
        if column in integer_columns and isinstance(value, int):
            value = str(value)
        if value is not None and not isinstance(value, str):
            raise DataError(f"Column {column} must hold text. Received: {type(value).__name__} in {origin}.")
        values.append(value or "")
    return tuple(values)


def variable_translations(nested: Any) -> dict[str, Any] | None:
    """Return the first translation of each language if languages may differ from row to row, otherwise None.

    Args:
        nested: a value of the column `translation`: the lists `language` and `translation` of
            `datasets.TranslationVariableLanguages`, or the pairs of an Arrow map.
    """
    if isinstance(nested, Mapping) and set(nested) == {"language", "translation"}:
        languages, texts = nested["language"], nested["translation"]
        if not isinstance(languages, list | tuple) or not isinstance(texts, list | tuple):
            return None
        pairs = list(zip(languages, texts, strict=False))
    elif isinstance(nested, list | tuple):
        pairs = [tuple(pair.values()) if isinstance(pair, Mapping) else pair for pair in nested]
    else:
        return None
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        return None
    return dict(reversed(pairs))


def missing_column(column: str, existing: Iterable[str], origin: str, advice: str = "") -> DataError:
    """Return the error for a missing column, which lists the existing ones."""
    names = ", ".join(map(str, existing))
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\r" for character in names):
        names = "what is not UTF-8 text"
        advice = " The file is binary, or in another encoding: convert it to UTF-8 text."
    elif "\r" in names:
        advice = r' Lines must end with "\n"; this file ends them with "\r" alone. Convert it.'
    return DataError(
        f"A source must have the columns that are read. Received: {shorten(column)!r}, which is not among "
        f"{shorten(names) or 'none'} in {origin}. "
        f"Set source_column and target_column, text_column, label_column, alignment_column or where.{advice}"
    )


def _read_parquet(path: Path, columns: Sequence[str], integer_columns: Collection[str], skip: int) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # By default pyarrow keeps what it has read ahead until the file is closed: memory as large as the file.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            schema = file.schema_arrow
            inside = _languages(schema)
            for column in columns:
                if column not in schema.names and inside is not None and column not in inside:
                    names = [*schema.names, *(f"translation.{name}" for name in inside)]
                    raise missing_column(column, names, str(path))
            needed = dict.fromkeys(column if column in schema.names else "translation" for column in columns)
            groups, skip = _row_groups_after(file, skip)
            options = {"batch_size": 4096, "columns": list(needed), "use_threads": False}
            for batch in file.iter_batches(row_groups=groups, **options) if groups else ():
                batch, skip = batch.slice(skip), max(0, skip - len(batch))
                texts = (_arrow_texts(batch, name, inside, integer_columns, str(path)) for name in columns)
                for values in zip(*texts, strict=True):
                    yield tuple(text or "" for text in values)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _row_groups_after(file: Any, skip: int) -> tuple[list[int], int]:
    """Return the row groups of a Parquet file from that of row `skip` on, and the rows to skip in the first of them."""
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if skip < count:
            return list(range(group, file.num_row_groups)), skip
        skip -= count
    return [], 0


def _languages(schema: Any) -> list[str] | None:
    """Return the languages in the column `translation` of an Arrow schema, or None if they differ from row to row."""
    import pyarrow as pa

    if "translation" not in schema.names:
        return []
    kind = schema.field("translation").type
    if pa.types.is_map(kind):
        return None
    names = [field.name for field in kind] if pa.types.is_struct(kind) else []
    is_variable = set(names) == {"language", "translation"} and all(pa.types.is_list(field.type) for field in kind)
    return None if is_variable else names


def _arrow_texts(
    batch: Any, name: str, inside: list[str] | None, integer_columns: Collection[str], origin: str
) -> Sequence[str | None]:
    """Return one column of an Arrow batch, from the batch itself or from its column `translation`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if name not in batch.schema.names and inside is None:
        rows = batch["translation"].to_pylist()
        return [columns_of({"translation": nested}, (name,), origin)[0] for nested in rows]
    column = batch[name] if name in batch.schema.names else pc.struct_field(batch["translation"], name)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if name in integer_columns and pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    if str(column.type) not in ("string", "large_string", "string_view"):
        raise DataError(f"Column {name} must hold text. Received: {column.type} in {origin}.")
    encoded = column.cast(pa.large_binary()).to_pylist()
    return [text and text.decode("utf-8", "surrogateescape") for text in encoded]


def _read_json(path: Path, columns: Sequence[str], integer_columns: Collection[str], whole: bool) -> Iterator[Row]:
    rows = _json_document(path) if whole and not _is_json_lines(path) else _json_lines(path)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise DataError(
                f"A record must be a JSON object. Received: {type(row).__name__}, record {number} of {path}."
            )
        yield columns_of(row, columns, f"record {number} of {path}", integer_columns)


def _is_json_lines(path: Path) -> bool:
    """Return True if a .json file holds one object per line, that is, if its first line is a complete record."""
    with _open(path) as file:
        first = next((line for line in file if line.strip()), b"")
    try:
        record = json.loads(first.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return False
    return isinstance(record, Mapping) and "data" not in record


def _json_lines(path: Path) -> Iterator[Any]:
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            yield _parse_json(line, f"line {number} of {path}")


def _json_document(path: Path) -> Iterator[Any]:
    """Yield the records of one JSON document: a list, or a list under `data`."""
    with _open(path) as file:
        document = _parse_json(file.read().decode("utf-8", "surrogateescape"), str(path))
    records = document.get("data") if isinstance(document, Mapping) else document
    if not isinstance(records, list):
        raise DataError(f"A .json file must be a list of records, alone or under `data`. Received: {path}.")
    yield from records


def _parse_json(text: str, origin: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"A source must be valid JSON. Received: {origin} ({error}).") from error


def read_delimited(path: Path, columns: Sequence[str], header: bool, is_csv: bool) -> Iterator[Row]:
    """Yield some columns of each row of a CSV file, quoted as in RFC 4180, or of a TSV file, which has no quotes.

    Args:
        path: the file.
        columns: names of the columns to read, in this order; without a header their numbers `0`, `1`, ….
        header: True if the first line names the columns.
        is_csv: True for a CSV file, whose fields are separated by commas or semicolons; False for a TSV file.

    Raises:
        DataError: if the file cannot be read or lacks a column, if a row has more or fewer fields than the first, or
            if the lines of a TSV file end with a carriage return alone.
    """
    delimiter = _csv_delimiter(path, columns, header) if is_csv else "\t"
    rows = _csv_rows(path, delimiter) if is_csv else (line.split("\t") for line in read_lines(path))
    rows = (row for row in rows if row and row != [""])
    first = next(rows, None)
    if first is None:
        return
    names = first if header else [str(index) for index in range(len(first))]
    for column in columns:
        if column not in names:
            raise missing_column(column, names, str(path), " If its first line is text already, set header: false.")
    places = [names.index(column) for column in columns]
    second = next(rows, None)
    if second is None and not is_csv and any("\r" in field for field in first):
        raise DataError(f"A .tsv file must have one row per line. Received: one line in {path}. {_CARRIAGE_RETURNS}")
    beginning = ([] if header else [first]) + ([second] if second is not None else [])
    for number, row in enumerate(itertools.chain(beginning, rows), 1):
        if len(row) != len(names):  # with an additional field, what is read may be half of one field
            raise DataError(
                f"Each row must have {len(names)} fields. Received: {len(row)} in row {number} of {path}. "
                + _field_advice(row, len(names), delimiter)
            )
        yield tuple(row[place] for place in places)


def _field_advice(row: Sequence[str], num_expected: int, delimiter: str) -> str:
    """Return the advice for a row with a wrong number of fields."""
    if any("\r" in field for field in row):
        return _CARRIAGE_RETURNS
    if delimiter != "\t":
        return f"Quote fields that contain {delimiter!r} or a line break."
    if len(row) < num_expected:
        return "Separate the fields with tabs; a field may be empty."
    return "A field cannot contain a tab."


def _csv_delimiter(path: Path, columns: Sequence[str], header: bool) -> str:
    """Return the delimiter of a CSV file, comma or semicolon.

    With a header, it is the one that gives the columns to be read. Without, it is the one that divides the first rows
    into the same number of fields, enough for the columns to be read.
    """
    for delimiter in _DELIMITERS:
        rows = _csv_rows(path, delimiter)
        try:
            probed = [row for row in itertools.islice(rows, 1 if header else _PROBED_ROWS) if row]
        except DataError:  # a quoted field followed by the other delimiter is not valid
            continue
        finally:
            rows.close()
        names = probed[0] if probed and header else [str(index) for index in range(len(probed[0]) if probed else 0)]
        if set(columns) <= set(names) and all(len(row) == len(names) for row in probed):
            return delimiter
    return _DELIMITERS[0]


def _csv_rows(path: Path, delimiter: str) -> Generator[list[str], None, None]:
    """Yield the rows of a CSV file. A quote that is never closed is an error and not the rest of the file."""
    csv.field_size_limit(_MAX_FIELD_SIZE)
    with _open(path) as file, io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="\n") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            yield from reader
        except csv.Error as error:
            raise DataError(
                f"A .csv file must quote fields as in RFC 4180. Received: {path}, line {reader.line_num} ({error})."
            ) from error


@contextlib.contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a text file as UTF-8 bytes. An error while it is open is a DataError."""
    try:
        with open_text(path) as file:
            yield cast(BinaryIO, file)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> DataError:
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return DataError(f"A source must be a readable file. Received: {path} ({shorten(reason)}).")
