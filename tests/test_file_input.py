"""Paths, small files, and text streams in every encoding and compression."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from translator.errors import UserError, shorten
from translator.file_input import (
    UnsupportedTextError,
    cache_directory,
    expand_user,
    open_text,
    read_regular_file,
    text_format,
    utf8_stream,
)

TEXT = "".join(f"Été n°{number} : « où ? » 😀\u2028\r\n" for number in range(20_000))


def zstd(content: bytes) -> bytes:
    compressed: bytes = pa.Codec("zstd").compress(content, asbytes=True)
    return compressed


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
}
ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_text_is_the_same_in_every_encoding_and_compression(tmp_path: Path, encoding: str, compression: str) -> None:
    content = ENCODINGS[encoding] + TEXT.encode(encoding)
    (tmp_path / "text").write_bytes(COMPRESSIONS[compression](content))
    with open_text(tmp_path / "text") as file:
        assert file.read().decode() == TEXT


@pytest.mark.parametrize("compression", [name for name in COMPRESSIONS if name != "none"])
def test_concatenated_compressed_files_are_one_text(compression: str) -> None:
    content = COMPRESSIONS[compression](b"a\n") + COMPRESSIONS[compression](b"b\n")
    assert utf8_stream(io.BytesIO(content)).read() == b"a\nb\n"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("compression", "damage"),
    [
        *((compression, "truncated") for compression in ("gzip", "bzip2", "xz", "zstd")),
        *((compression, "overwritten") for compression in ("gzip", "bzip2", "xz")),  # pyarrow's zstd has no checksum
    ],
)
def test_damaged_compressed_text_is_an_oserror(tmp_path: Path, compression: str, damage: str) -> None:
    content = COMPRESSIONS[compression](os.urandom(50_000))
    broken = content[:-9] if damage == "truncated" else content[:30_000] + bytes(2000) + content[32_000:]
    (tmp_path / "text").write_bytes(broken)
    with pytest.raises(OSError, match=f"damaged or truncated {compression} data"), open_text(tmp_path / "text") as file:
        file.read()


def test_invalid_text_stays_invalid() -> None:
    def read(content: bytes) -> bytes:
        return utf8_stream(io.BytesIO(content)).read()  # type: ignore[arg-type]

    assert read(b"caf\xe9\nb\0c\n") == b"caf\xe9\nb\0c\n"
    lone_surrogate = codecs.BOM_UTF16_LE + b"a\0\0\xd8b\0"
    for content in (lone_surrogate, codecs.BOM_UTF16_LE + b"a\0\n"):
        with pytest.raises(UnicodeDecodeError):
            read(content).decode()
        assert read(content).decode("utf-8", "replace").startswith("a\ufffd")


@pytest.mark.parametrize("content", [b"", b"\xef", b"\xff", b"P", b"BZh9", b"\x1f\x8b", b"PAR1 is text\n"])
def test_a_text_shorter_than_a_signature_is_read_as_it_is(content: bytes) -> None:
    assert utf8_stream(io.BytesIO(content)).read() == content  # type: ignore[arg-type]


def written_by(write: Callable[[Path], object]) -> Callable[[Path], bytes]:
    def content(path: Path) -> bytes:
        write(path)
        return path.read_bytes()

    return content


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (written_by(write_zip), "a ZIP archive"),
        (written_by(lambda path: pq.write_table(pa.table({"fr": ["a"]}), path)), "a Parquet file"),
        (lambda _: "é".encode("utf-32"), "UTF-32 text"),
        (lambda _: "Où ? L’été.\n".encode("utf-16-le"), "UTF-16 text without a byte order mark"),
        (lambda _: "Où ? L’été.\n".encode("utf-16-be"), "UTF-16 text without a byte order mark"),
        (lambda _: gzip.compress("Oui.\n".encode("utf-16-le")), "UTF-16 text without a byte order mark"),
        (lambda _: b"%PDF-1.7\n", "a PDF document"),
        (lambda _: gzip.compress(gzip.compress(b"a")), "gzip data within compressed data"),
        (lambda _: gzip.compress("é".encode("utf-32")), "UTF-32 text"),
    ],
)
def test_another_format_is_refused_by_name(tmp_path: Path, content: Callable[[Path], bytes], name: str) -> None:
    (tmp_path / "text").write_bytes(content(tmp_path / "made"))
    with pytest.raises(UnsupportedTextError, match=f"{name}.*convert it to UTF-8 text"):
        open_text(tmp_path / "text")


@pytest.mark.parametrize("text", [b"a\0b\0c\n", b"\0" * 40, b"a\0\0b\0\0\0\0c\0", b"Le chat\0 dort.\0\n" * 9])
def test_nul_bytes_in_utf8_text_are_read(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "text").write_bytes(text)
    with open_text(tmp_path / "text") as file:
        assert file.read() == text


def test_read1_returns_what_a_slow_writer_has_sent() -> None:
    chunks = [b"B", b"on", b"jour.\n", b"A", b" bientot.\n"]

    class Slow(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            chunk = chunks.pop(0) if chunks else b""
            buffer[: len(chunk)] = chunk
            return len(chunk)

    stream = utf8_stream(Slow())
    assert chunks == [b"jour.\n", b"A", b" bientot.\n"]
    assert [stream.read1() for _ in range(5)] == [b"Bon", b"jour.\n", b"A", b" bientot.\n", b""]


def test_closing_the_stream_closes_the_file(tmp_path: Path) -> None:
    for content in (b"a", gzip.compress(b"a"), "a".encode("utf-16"), zstd(b"a")):
        (tmp_path / "text").write_bytes(content)
        raw = (tmp_path / "text").open("rb", buffering=0)
        utf8_stream(raw).close()
        assert raw.closed


def test_a_tilde_is_expanded_as_a_shell_expands_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert expand_user("~/runs/a") == Path("/home/someone/runs/a")
    assert expand_user("~") == Path("/home/someone")
    for name in ("~draft.tsv", "~nosuchuser/run", "a~", "./~/x"):
        assert expand_user(name) == Path(name)


def test_an_unknown_home_is_a_user_error_that_names_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", raise_key_error)
    with pytest.raises(UserError, match=r"home directory is unknown. Set HOME.* Received: ~/run\."):
        expand_user("~/run")
    assert expand_user("runs/a") == Path("runs/a")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(UserError, match=r"cache directory is unknown. Set data.cache, XDG_CACHE_HOME or HOME\."):
        cache_directory()


def raise_key_error(*_: object) -> None:
    raise KeyError


def test_the_cache_directory_follows_xdg_cache_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    for value in (None, "", "relative"):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        if value is not None:
            monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_directory() == Path("/home/someone/.cache/translator")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/cache")
    assert cache_directory() == Path("/scratch/cache/translator")


def test_only_small_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_regular_file(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="larger than the limit of 4 bytes"):
        read_regular_file(tmp_path / "a", 4)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("fifo", "zero"):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular_file(tmp_path / name, 5)
    with pytest.raises(IsADirectoryError):
        read_regular_file(tmp_path, 5)


def test_a_shown_value_is_short_and_printable() -> None:
    assert shorten("été") == "été"
    assert shorten([1, 2]) == "[1, 2]"
    assert shorten("\x1b[31m\n") == "\\x1b[31m\\n"
    assert shorten("x" * 1000, 10) == "xxxxxxxxxx… (990 more characters)"


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (TEXT.encode(), "UTF-8"),
        (TEXT.encode("utf-8-sig"), "UTF-8"),
        (TEXT.encode("utf-16"), "UTF-16"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "UTF-16"),
        ("Été\n".encode("latin-1") * 9, "not UTF-8"),
        (b"", "UTF-8"),
        (b"one NUL\0 in a long line\n" + b"word " * 50, "UTF-8"),
    ],
)
def test_the_format_of_text_is_named(tmp_path: Path, content: bytes, name: str, compression: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(COMPRESSIONS[compression](content))
    assert text_format(path) == (name if compression == "none" else f"{name}, {compression}")


@pytest.mark.parametrize("content", [TEXT.encode("utf-16-le"), bytes(range(256)) * 9 + b"\0" * 99])
def test_utf_16_without_a_byte_order_mark_and_binary_data_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(UnsupportedTextError, match="binary data or UTF-16 text without a byte order mark"):
        text_format(path)
