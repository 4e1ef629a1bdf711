"""Read text from files: plain and aligned lines, CSV and TSV, JSON, Parquet; local, compressed or by URL.

Readers yield rows of strings and hold a piece of the file at a time. Bytes that are not UTF-8 come out as lone
surrogates (Python's `surrogateescape`), so that whoever reads can drop the pair or replace them, and count.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import itertools
import json
import os
import tempfile
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from translator.config import UserError

Pair = tuple[str, str]
Row = tuple[str, ...]
TEXT = "text"  # the column of a text that has no name, as in a .txt file

_BROKEN = (OSError, EOFError, zlib.error)  # what reading a file, or a damaged .gz, can raise
_LONGEST_FIELD = 2**31 - 1
_DOWNLOAD_TIMEOUT = 60.0  # seconds without a byte


class DataError(UserError):
    """Text that is missing, broken or not of the form that was asked for."""


def local_path(place: str, cache: Path) -> Path:
    """The file at a path or URL, downloaded into the cache unless it is there already.

    Raises:
        DataError: there is none.
    """
    if place.startswith(("http://", "https://")):
        return _download(place, cache / "downloads")
    path = Path(place).expanduser()
    if not path.is_file():
        problem = "a folder" if path.is_dir() else "no such file"
        raise DataError(f"A source must be a file that exists. Received: {path} ({problem}).")
    if path.stat().st_size == 0:
        raise DataError(f"A source must be a file with text in it. Received: {path}, which is empty.")
    return path


def read_aligned(source: Path, target: Path) -> Iterator[Pair]:
    """Pairs of line n of one file and line n of the other.

    Raises:
        DataError: the files cannot be read, or differ in their number of lines.
    """
    left, right = read_lines(source), read_lines(target)
    for number, (line, translation) in enumerate(itertools.zip_longest(left, right)):
        if line is None or translation is None:
            counts = [number + (line is not None), number + (translation is not None)]
            counts = [counts[0] + sum(1 for _ in left), counts[1] + sum(1 for _ in right)]
            raise DataError(
                "Aligned files must have equally many lines. "
                f"Received: {source} with {counts[0]} lines, {target} with {counts[1]}."
            )
        yield line, translation


def read_lines(path: Path) -> Iterator[str]:
    r"""The lines of a file, which end at "\n" only; "\r" before it is no part of the line, nor is a byte order mark.

    Raises:
        DataError: the file cannot be read.
    """
    with _open(path) as file:
        for number, line in enumerate(file):
            if number == 0:
                line = line.removeprefix(b"\xef\xbb\xbf")
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")


def read_table(path: Path, columns: Sequence[str], header: bool, label: str | None = None) -> Iterator[Row]:
    """Some columns of each row of a file whose kind its name tells.

    Args:
        path: .parquet, .jsonl, .json, .csv, .tsv, or .txt with one column, `text`; all but Parquet may end in .gz.
        columns: names of the columns that are wanted, in this order.
        header: whether the first line of a .csv or .tsv names the columns.
        label: the column that may hold whole numbers too.

    Raises:
        DataError: the file cannot be read, is of another kind, or lacks a column.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    if kind == ".parquet":
        return _read_parquet(path, columns, label)
    if kind in (".jsonl", ".json"):
        return _read_json(path, columns, label, whole=kind == ".json")
    if kind in (".csv", ".tsv"):
        return _read_delimited(path, columns, header, is_csv=kind == ".csv")
    if kind == ".txt" and set(columns) == {TEXT}:
        return ((line,) * len(columns) for line in read_lines(path))
    raise DataError(
        f"A source file must be .parquet, .jsonl, .json, .csv or .tsv, or .txt for text alone. Received: {path}. "
        "For two files of aligned lines say text: {source: …, target: …}."
    )


def columns_of(row: Mapping[str, Any], columns: Sequence[str], origin: str, label: str | None = None) -> Row:
    """Some columns of one row, each alone or inside `translation`; null, alone or for both, is the empty text.

    The column named `label` may hold whole numbers too.

    Raises:
        DataError: the row lacks a column, or one holds no text.
    """
    nested = row.get("translation")
    values = []
    for column in columns:
        if column in row:
            value = row[column]
        elif isinstance(nested, Mapping) and column in nested:
            value = nested[column]
        elif nested is None and "translation" in row:
            value = None
        else:
            inside = nested if isinstance(nested, Mapping) else ()
            raise missing_column(column, [*row, *(f"translation.{name}" for name in inside)], origin)
        if column == label and isinstance(value, int):
            value = str(value)
        if value is not None and not isinstance(value, str):
            raise DataError(f"Column {column} must hold text. Received: {type(value).__name__} in {origin}.")
        values.append(value or "")
    return tuple(values)


def missing_column(column: str, existing: Iterable[str], origin: str, advice: str = "") -> DataError:
    """The error for a column that is not there, naming those that are."""
    return DataError(
        f"A source must have the columns that are read. Received: {column!r}, which is not among "
        f"{', '.join(existing) or 'none'} in {origin}. "
        f"Set source_column and target_column, text_column, label_column or where.{advice}"
    )


def _read_parquet(path: Path, columns: Sequence[str], label: str | None) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    def texts_of(batch: Any, name: str) -> list[str | None]:
        column = batch[name] if name in batch.schema.names else pc.struct_field(batch["translation"], name)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if name == label and pa.types.is_integer(column.type):
            column = column.cast(pa.string())
        if str(column.type) not in ("string", "large_string", "string_view"):
            raise DataError(f"Column {name} must hold text. Received: {column.type} in {path}.")
        encoded = column.cast(pa.large_binary()).to_pylist()
        return [text and text.decode("utf-8", "surrogateescape") for text in encoded]

    try:
        # By default pyarrow keeps what it has read ahead until the file is closed: memory as large as the file.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            schema = file.schema_arrow
            nested = schema.field("translation").type if "translation" in schema.names else None
            inside = [field.name for field in nested] if nested and pa.types.is_struct(nested) else []
            for column in columns:
                if column not in schema.names and column not in inside:
                    raise missing_column(
                        column, [*schema.names, *(f"translation.{name}" for name in inside)], str(path)
                    )
            needed = dict.fromkeys(column if column in schema.names else "translation" for column in columns)
            for batch in file.iter_batches(batch_size=4096, columns=list(needed), use_threads=False):
                for texts in zip(*(texts_of(batch, name) for name in columns), strict=True):
                    yield tuple(text or "" for text in texts)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _read_json(path: Path, columns: Sequence[str], label: str | None, whole: bool) -> Iterator[Row]:
    rows = _json_document(path) if whole and not _is_json_lines(path) else _json_lines(path)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise DataError(
                f"A record must be a JSON object. Received: {type(row).__name__}, record {number} of {path}."
            )
        yield columns_of(row, columns, f"record {number} of {path}", label)


def _is_json_lines(path: Path) -> bool:
    """Whether a file called .json holds one object a line all the same: its first line is a whole record."""
    with _open(path) as file:
        first = next((line for line in file if line.strip()), b"")
    try:
        record = json.loads(first.decode("utf-8-sig", "surrogateescape"))
    except ValueError:
        return False
    return isinstance(record, Mapping) and "data" not in record


def _json_lines(path: Path) -> Iterator[Any]:
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            yield _parse_json(line, f"line {number} of {path}")


def _json_document(path: Path) -> Iterator[Any]:
    """The records of one JSON document: a list, or a list under `data`."""
    with _open(path) as file:
        document = _parse_json(file.read().decode("utf-8-sig", "surrogateescape"), str(path))
    records = document.get("data") if isinstance(document, Mapping) else document
    if not isinstance(records, list):
        raise DataError(f"A .json file must be a list of records, alone or under `data`. Received: {path}.")
    yield from records


def _parse_json(text: str, origin: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"A source must be valid JSON. Received: {origin} ({error}).") from error


def _read_delimited(path: Path, columns: Sequence[str], header: bool, is_csv: bool) -> Iterator[Row]:
    """Rows of a .csv, quoted as RFC 4180 says, or of a .tsv, where a quote is a character like any other."""
    rows = _csv_rows(path) if is_csv else (line.split("\t") for line in read_lines(path))
    rows = (row for row in rows if row and row != [""])
    first = next(rows, None)
    if first is None:
        return
    names = first if header else [str(index) for index in range(len(first))]
    for column in columns:
        if column not in names:
            raise missing_column(column, names, str(path), " If its first line is text already, set header: false.")
    places = [names.index(column) for column in columns]
    for number, row in enumerate(rows if header else itertools.chain([first], rows), 1):
        if len(row) != len(names):  # with one too many, what is read may be half of one field and not the next
            raise DataError(
                f"Each row must have {len(names)} fields. Received: {len(row)} in row {number} of {path}. "
                + ("Quote fields that hold a comma or a line break." if is_csv else "A field can hold no tab.")
            )
        yield tuple(row[place] for place in places)


def _csv_rows(path: Path) -> Iterator[list[str]]:
    """Rows of a CSV file; a quote that never closes is an error, not the rest of the file."""
    csv.field_size_limit(_LONGEST_FIELD)
    with _open(path) as file, io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="\n") as text:
        reader = csv.reader(text, strict=True)
        try:
            yield from reader
        except csv.Error as error:
            raise DataError(
                f"A .csv file must quote fields as RFC 4180 does. Received: {path}, line {reader.line_num} ({error})."
            ) from error


@contextlib.contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a file, through gzip where its name says so; what goes wrong while it is read is a DataError."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield file  # type: ignore[misc]  # GzipFile reads like any binary file
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> DataError:
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return DataError(f"A source must be a readable file. Received: {path} ({reason}).")


def _download(url: str, folder: Path) -> Path:
    """The file behind a URL, fetched once; it appears in the folder whole or not at all."""
    name = Path(urllib.parse.urlparse(url).path).name or "index"
    path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".download-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            _fetch(url, file)
        Path(temporary).chmod(folder.stat().st_mode & 0o666)  # mkstemp's is its owner's alone, and caches are shared
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def _fetch(url: str, file: BinaryIO) -> None:
    """Copy what is behind a URL into a file."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "translator"})
        with urllib.request.urlopen(request, timeout=_DOWNLOAD_TIMEOUT) as answer:
            expected = answer.headers.get("Content-Length")
            while block := answer.read(1 << 20):
                file.write(block)
    except (OSError, ValueError) as error:  # URLError and HTTPError are OSErrors
        raise DataError(
            f"A source by URL must be reachable. Received: {url} ({error}). Or fetch it yourself and give its path."
        ) from error
    if expected is not None and file.tell() != int(expected):
        raise DataError(
            f"A download must be complete. Received: {file.tell()} of {expected} bytes of {url}. Try again."
        )
    if file.tell() == 0:
        raise DataError(f"A source must be a file with text in it. Received: {url}, which is empty.")
