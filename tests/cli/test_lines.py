from __future__ import annotations

import gzip
import json
import lzma
import os
import threading
import time
from pathlib import Path

import pytest

from translator.cli import lines
from translator.cli.lines import LineError, read_windows, to_json
from translator.cli.streams import open_input


def windows_of(data: bytes) -> list[list[str]]:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"):
        thread = threading.Thread(target=lambda: (os.write(writer, data), os.close(writer)))
        thread.start()
        found = list(read_windows(reader))
        thread.join()
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\n", ["a", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\n\r\n", ["a\rb", ""]),
        (b"a\r\r\n", ["a\r"]),
        (b"a\r", ["a"]),
        ("a\u2028b\x85c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\x85c\x0bd\x0ce\x1cf"]),
        (b"a\0b\tc\n", ["a\0b\tc"]),
        (b"caf\xe9\n\xff\n", ["caf\udce9", "\udcff"]),
        ("é".encode() + b"\n", ["é"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        ("é\nb".encode("utf-16"), ["é", "b"]),
        (gzip.compress(b"a\nb\n"), ["a", "b"]),
        (lzma.compress("é\nb".encode("utf-16")), ["é", "b"]),
    ],
)
def test_lines_end_at_line_feeds_only(data: bytes, expected: list[str]) -> None:
    assert [line for window in windows_of(data) for line in window] == expected


def test_input_that_is_not_text_or_is_damaged_is_refused() -> None:
    with pytest.raises(LineError, match=r"must be readable text. Received: a PDF document, which is not supported"):
        windows_of(b"%PDF-1.7\n")
    with pytest.raises(LineError, match=r"must be readable text. Received: damaged or truncated gzip data"):
        windows_of(gzip.compress(b"a\n" * 1000)[:-9])


def test_full_windows_are_yielded_before_the_input_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "WINDOW_LINES", 3)
    assert windows_of(b"1\n2\n3\n4\n5\n6\n7\n8") == [["1", "2", "3"], ["4", "5", "6"], ["7", "8"]]


def test_a_line_may_arrive_in_many_chunks(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"x" * 1_000_000 + b"\n" + b"y" * 200_000)
    with open_input(str(path)) as descriptor:
        assert [len(line) for window in read_windows(descriptor) for line in window] == [1_000_000, 200_000]


def test_lines_are_yielded_while_the_writer_pauses() -> None:
    reader, writer = os.pipe()
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.extend(read_windows(reader)))
    thread.start()
    for number in range(3):
        os.write(writer, f"line {number}\nbeginning ".encode())
        wait_until(lambda number=number: len(found) == number + 1)  # type: ignore[misc]
    os.close(writer)
    thread.join()
    os.close(reader)
    assert found == [["line 0"], ["beginning line 1"], ["beginning line 2"], ["beginning "]]


def test_lines_are_yielded_after_the_maximum_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "IDLE_SECONDS", 30.0)
    monkeypatch.setattr(lines, "MAX_DELAY_SECONDS", 0.2)
    reader, writer = os.pipe()
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.extend(read_windows(reader)))
    thread.start()
    os.write(writer, b"a\n")
    wait_until(lambda: found == [["a"]])
    os.close(writer)
    thread.join()
    os.close(reader)


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_json_contains_no_line_separator() -> None:
    value = {"text": "a\nb\r\u2028\u2029\x85\x0b\x1c é"}
    text = to_json(value)
    assert len(text.splitlines()) == 1 and "é" in text
    assert json.loads(text) == value
