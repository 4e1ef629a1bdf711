from __future__ import annotations

import select
import socket

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
    url: str, part: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = exchange(url, part, half_close=True)
    assert not answer or answer.startswith(b"HTTP/1.1 200 ")
    assert exchange(url, b"GET /health HTTP/1.0\r\n\r\n", half_close=False)  # the log is written by then
    assert not caplog.text


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


def test_an_offer_to_change_the_protocol_is_ignored(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    host, port = url.removeprefix("http://").split(":")
    body = b'{"q": "", "source": "fr", "target": "en"}'
    head = b"POST /translate HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n" % (UPGRADE, len(body))
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        answers = []
        for part in (head + body, head, body[:9], body[9:], b"GET /health HTTP/1.1\r\nHost: a\r\n%b\r\n" % UPGRADE):
            sock.sendall(part)
            if part not in (head, body[:9]):
                answers.append(b"")
                while not answers[-1].endswith(b"}") and (data := sock.recv(65_536)):
                    answers[-1] += data
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [b'{"translatedText":""}'] * 2 + [
        b'{"status":"ok"}'
    ]
    assert not capfd.readouterr().err


@pytest.mark.parametrize(
    "request_",
    [
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0" * 99,
    ],
)
def test_what_is_not_http_receives_400(url: str, request_: bytes) -> None:
    assert exchange(url, request_, half_close=True).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("headers", [b"", b"Host: a\r\nHost: b\r\n"])
def test_a_request_must_have_one_host(url: str, headers: bytes) -> None:
    assert exchange(url, b"GET /health HTTP/1.1\r\n%b\r\n" % headers, half_close=False).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "part",
    [
        b"GET /health HTTP/1.1\r\nHost: a\r\nName: ",
        b"POST /translate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;",
        b"POST /translate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nName: ",
    ],
    ids=["headers", "extension", "trailers"],
)
def test_headers_extensions_and_trailers_have_a_limit(url: str, client: httpx.Client, part: bytes) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall(part)
        for _ in range(5):  # the bytes that arrive together with the beginning do not count
            if select.select([sock], [], [], 0.3)[0]:
                break
            sock.sendall(b"a" * 65_537)
        assert sock.recv(65_536).startswith(b"HTTP/1.1 400 ")
    assert client.get("/health").status_code == 200


def test_a_body_of_many_chunks_is_read(url: str, client: httpx.Client) -> None:
    body = b'{"q": "' + b" " * 40_000 + b'", "source": "fr", "target": "en"}'
    response = client.post("/translate", content=(body[start : start + 2] for start in range(0, len(body), 2)))
    assert response.json() == {"translatedText": ""}
