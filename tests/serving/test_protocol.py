from __future__ import annotations

import httpx
import pytest
from running_server import exchange

HEADERS = b"POST /translate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 200\r\n"


@pytest.mark.parametrize(
    "part", [b"POST /translate HTTP/1.1\r\nHo", HEADERS, HEADERS + b"\r\n", HEADERS + b'\r\n{"q":']
)
def test_an_unfinished_request_on_a_half_closed_connection_receives_400(
    url: str, client: httpx.Client, part: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = exchange(url, part, half_close=True)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert client.get("/health").status_code == 200
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("part", [b"", b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"])
def test_a_connection_without_an_unfinished_request_is_closed_without_an_error(
    url: str, part: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = exchange(url, part, half_close=True)
    assert not answer or answer.startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "request_", [b"nonsense\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 99]
)
def test_what_is_not_http_receives_400(url: str, request_: bytes) -> None:
    assert exchange(url, request_, half_close=True).startswith(b"HTTP/1.1 400 ")
