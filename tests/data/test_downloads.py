from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from made_up import data_config

from translator.data.corpus import DataError, read_rows

PLAIN = [("un", "one"), ("deux", "two"), ("trois", "three")]


def read(cache: Path, source: dict[str, Any]) -> list[tuple[str, ...]]:
    data = data_config(cache, source)
    return list(read_rows(data.train, data))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """A web server on this machine: its address, its folder and the paths that were asked for."""
    folder = tmp_path / "www"
    folder.mkdir()
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            asked.append(self.path)

        def do_GET(self) -> None:
            if self.path != "/cut.tsv":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"fr\ten\n")
            return None

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http_server.server_port}", folder, asked
        http_server.shutdown()


def test_urls_are_downloaded_once(tmp_path: Path, server: tuple[str, Path, list[str]]) -> None:
    address, folder, asked = server
    for name, side in (("a.fr.gz", 0), ("a.en.gz", 1)):
        (folder / name).write_bytes(gzip.compress("".join(pair[side] + "\n" for pair in PLAIN).encode()))
    source = {"text": {"source": f"{address}/a.fr.gz", "target": f"{address}/a.en.gz"}}
    assert read(tmp_path / "cache", source) == PLAIN
    assert read(tmp_path / "cache", source) == PLAIN
    assert sorted(asked) == ["/a.en.gz", "/a.fr.gz"]
    for file in (tmp_path / "cache" / "downloads").iterdir():
        assert file.stat().st_mode & 0o666 == file.parent.stat().st_mode & 0o666  # another user of the cache reads it


def test_a_failed_download_leaves_nothing_behind(tmp_path: Path, server: tuple[str, Path, list[str]]) -> None:
    address, folder, _ = server
    (folder / "empty.tsv").write_bytes(b"")
    for name, message in (
        ("none.tsv", r"must be reachable\. Received: .*none.tsv \(HTTP Error 404"),
        ("cut.tsv", "must be complete. Received: 6 of 1000 bytes|must be reachable"),
        ("empty.tsv", "which is empty"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path / "cache", {"file": f"{address}/{name}"})
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []
