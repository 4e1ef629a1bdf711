"""File input: paths that start with `~`, small regular files, and text in several encodings and compressions.

The encoding and the compression of text are recognized by its first bytes, never by the name of the file.
"""

from __future__ import annotations

import codecs
import io
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from translator.errors import UserError

_BLOCK_SIZE = 1 << 17
_MAX_NUL_FRACTION = 0.01  # of the bytes of text
_UTF16_SAMPLE = 1024  # bytes at the beginning that show UTF-16 without a byte order mark

_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_COMPRESSIONS = {
    b"\x1f\x8b\x08": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    # bzip2: "BZh", the block size and the magic number of the first block or of the end of an empty file.
    **{b"BZh%d" % size + block: "bzip2" for size in range(1, 10) for block in (b"1AY&SY", b"\x17rE8P\x90")},
}
_UNSUPPORTED = {
    codecs.BOM_UTF32_LE: "UTF-32 text",
    codecs.BOM_UTF32_BE: "UTF-32 text",
    b"PK\x03\x04": "a ZIP archive or an Office document",
    b"PAR1\x15": "a Parquet file",
    b"ARROW1\0\0": "an Arrow file",
    b"%PDF-1.": "a PDF document",
    b"%PDF-2.": "a PDF document",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Office document",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x04\x22\x4d\x18": "LZ4 data",
    b"\x1f\x9d": "compress (.Z) data",
    b"LZIP\x01": "lzip data",
    b"SQLite format 3\0": "an SQLite database",
}
_SIGNATURES = (*_ENCODINGS, *_COMPRESSIONS, *_UNSUPPORTED)


class UnsupportedTextError(OSError):
    """Input whose first bytes show that it is not text that can be read."""


def expand_user(path: str | Path) -> Path:
    """Return a path whose leading `~` or `~user` is replaced by the home directory, as a shell does.

    A name such as `~draft.tsv`, where no user is called `draft.tsv`, stays as it is.

    Raises:
        UserError: if the path is below `~` and the home directory of the current user is unknown.
    """
    expanded = os.path.expanduser(path)  # noqa: PTH111 (Path.expanduser raises for an unknown user)
    if expanded == "~" or expanded.startswith("~/"):
        raise UserError(f"The home directory is unknown. Set HOME, or use a path without '~'. Received: {path}.")
    return Path(expanded)


def cache_directory() -> Path:
    """Return the default directory for caches: `translator` in `$XDG_CACHE_HOME`, by default in `~/.cache`.

    Raises:
        UserError: if neither `XDG_CACHE_HOME` nor the home directory is known.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if Path(base).is_absolute():  # the XDG specification: a relative path must be ignored
        return Path(base) / "translator"
    try:
        return expand_user("~/.cache/translator")
    except UserError as error:
        raise UserError("The cache directory is unknown. Set data.cache, XDG_CACHE_HOME or HOME.") from error


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Read a small file as a whole.

    Args:
        path: the file.
        max_bytes: maximum size in bytes.

    Raises:
        OSError: if the file cannot be read, is larger, or is not a regular file (a FIFO or a device, which could block
            or have no end).
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "not a regular file", str(path))
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(0, f"larger than the limit of {max_bytes:,} bytes", str(path))
    return content


def open_text(path: Path) -> io.BufferedReader:
    """Open a text file and return a stream of its UTF-8 bytes; see `utf8_stream`."""
    file = path.open("rb", buffering=0)
    try:
        return utf8_stream(file)
    except BaseException:  # raised again; a file must not stay open after Ctrl-C either
        file.close()
        raise


def text_format(path: Path) -> str:
    """Return the encoding and the compression of a text file, such as `UTF-8` or `UTF-16, gzip`.

    Text without a byte order mark is judged by its beginning.

    Raises:
        UnsupportedTextError: if the file has many NUL bytes, as UTF-16 without a byte order mark and binary data have.
        OSError: if the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        head = _read_head(file)
        compression = next((name for signature, name in _COMPRESSIONS.items() if head.startswith(signature)), None)
        file.seek(0)
        content = _buffered(_Decompressed(_buffered(file), compression) if compression else file)
        beginning = content.read(_BLOCK_SIZE)
    encoding = next((name for signature, name in _ENCODINGS.items() if beginning.startswith(signature)), None)
    if encoding is None and beginning.count(0) > _MAX_NUL_FRACTION * len(beginning):
        raise UnsupportedTextError(
            0, "binary data or UTF-16 text without a byte order mark, which is not supported; convert it to UTF-8 text"
        )
    if encoding in (None, "utf-8"):
        decoder = codecs.getincrementaldecoder("utf-8")()  # the beginning may end within a character
        try:
            decoder.decode(beginning)
            name = "UTF-8"
        except UnicodeDecodeError:
            name = "not UTF-8"
    else:
        name = "UTF-16"
    return f"{name}, {compression}" if compression else name


def utf8_stream(raw: io.RawIOBase) -> io.BufferedReader:
    """Return a stream of UTF-8 bytes from a stream of text, without a byte order mark.

    UTF-8 and, with a byte order mark, UTF-16 are read, plain or compressed with gzip, bzip2, xz or zstd. UTF-16 without
    a byte order mark is refused if it begins with Latin text. Invalid UTF-8 stays as it is. Invalid UTF-16 (a lone
    surrogate or half a character) becomes invalid UTF-8, so that it is reported like other invalid text.

    `read1` of the result reads from `raw` at most once for plain UTF-8, so that it returns what a slow writer has sent.

    Args:
        raw: a blocking stream. Closing the result closes it.

    Raises:
        UnsupportedTextError: if the first bytes are those of another format, such as a ZIP archive.
        OSError: here or while reading, if reading fails or compressed data is damaged or truncated.
    """
    head = _read_head(raw)
    for signature, compression in _COMPRESSIONS.items():
        if head.startswith(signature):
            return _decoded(_Decompressed(_buffered(_unread(head, raw)), compression))
    return _decoded(_unread(head, raw))


def _decoded(raw: io.RawIOBase) -> io.BufferedReader:
    """Return the UTF-8 bytes of text that is not compressed. Compression within compression is not supported."""
    head = _read_head(raw)
    compressed = {signature: f"{name} data within compressed data" for signature, name in _COMPRESSIONS.items()}
    for signature, description in (_UNSUPPORTED | compressed).items():
        if head.startswith(signature):
            raise UnsupportedTextError(0, f"{description}, which is not supported; convert it to UTF-8 text")
    for signature, encoding in _ENCODINGS.items():
        if head.startswith(signature):
            content = _unread(head.removeprefix(signature), raw)
            return _buffered(content if encoding == "utf-8" else _Transcoded(content, encoding))
    if _is_unmarked_utf16(head[:_UTF16_SAMPLE]):
        raise UnsupportedTextError(
            0, "UTF-16 text without a byte order mark, which is not supported; convert it to UTF-8 text"
        )
    return _buffered(_unread(head, raw))


def _is_unmarked_utf16(sample: bytes) -> bool:
    """Return True if most bytes at even or at odd positions are NUL, and no others, as in UTF-16 of Latin text."""
    if len(sample) < 8:
        return False
    even, odd = sample[::2], sample[1::2]
    return any(0 not in low and 4 * high.count(0) >= 3 * len(high) for low, high in ((even, odd), (odd, even)))


def _buffered(raw: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(raw, _BLOCK_SIZE)


def _read_head(raw: io.RawIOBase) -> bytes:
    """Read until the first bytes decide which signature they match, if any."""
    head = b""
    while any(len(head) < len(signature) and signature.startswith(head) for signature in _SIGNATURES):
        block = raw.read(_BLOCK_SIZE)
        if not block:
            break
        head += block
    return head


def _unread(head: bytes, raw: io.RawIOBase) -> io.RawIOBase:
    """Return a stream that begins with bytes that were read from `raw` last."""
    if not raw.seekable():
        return _Prefixed(head, raw)
    raw.seek(-len(head), io.SEEK_CUR)
    return raw


class _Prefixed(io.RawIOBase):
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: io.RawIOBase) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Fill `buffer` from the first bytes, then from the rest of the stream."""
        if not self._head:
            return self._rest.readinto(buffer)
        size = min(len(buffer), len(self._head))
        buffer[:size] = self._head[:size]
        self._head = self._head[size:]
        return size

    def close(self) -> None:
        self._rest.close()
        super().close()


class _Decompressed(io.RawIOBase):
    """The decompressed bytes of a stream. Damaged data is an OSError, whichever library finds it."""

    def __init__(self, compressed: io.BufferedReader, compression: str) -> None:
        self._compressed = compressed
        self._compression = compression
        self._file, self._errors = _OPENERS[compression](compressed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` with decompressed bytes.

        Raises:
            OSError: if the data is damaged or truncated.
        """
        try:
            content: bytes = self._file.read1(len(buffer))
        except self._errors as error:
            raise OSError(0, f"damaged or truncated {self._compression} data: {error}") from error
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._compressed.close()
        super().close()


# A decompressed binary file, and what reading it can raise if the data is damaged.
_Opened = tuple[Any, tuple[type[Exception], ...]]


def _open_gzip(file: io.BufferedReader) -> _Opened:
    import gzip

    return gzip.GzipFile(fileobj=file), (gzip.BadGzipFile, EOFError, zlib.error)


def _open_bzip2(file: io.BufferedReader) -> _Opened:
    import bz2

    return bz2.BZ2File(file), (OSError, EOFError)


def _open_xz(file: io.BufferedReader) -> _Opened:
    import lzma

    return lzma.LZMAFile(file), (lzma.LZMAError, EOFError)


def _open_zstd(file: io.BufferedReader) -> _Opened:
    import pyarrow as pa  # the standard library has zstd from Python 3.14 on

    return pa.CompressedInputStream(file, "zstd"), (OSError, pa.ArrowException)


_OPENERS: dict[str, Callable[[io.BufferedReader], _Opened]] = {
    "gzip": _open_gzip,
    "bzip2": _open_bzip2,
    "xz": _open_xz,
    "zstd": _open_zstd,
}


class _Transcoded(io.RawIOBase):
    """UTF-16 as UTF-8."""

    def __init__(self, encoded: io.RawIOBase, encoding: str) -> None:
        self._encoded = _buffered(encoded)
        # A lone surrogate passes through both codecs and is invalid UTF-8 afterwards.
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._pending = b""
        self._has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` with UTF-8 bytes."""
        while not self._pending and not self._has_ended:
            block = self._encoded.read1(_BLOCK_SIZE)
            self._has_ended = not block
            self._pending = self._decode(block)
        size = min(len(buffer), len(self._pending))
        buffer[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        return size

    def _decode(self, block: bytes) -> bytes:
        try:
            return self._decoder.decode(block, final=not block).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:  # the stream ends within a character
            return b"\xff"

    def close(self) -> None:
        self._encoded.close()
        super().close()
