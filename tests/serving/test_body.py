from __future__ import annotations

import socket

import httpx
import pytest
from running_server import Serve, exchange

from translator import Translator

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "must be JSON"),
        (b'{"q":', "must be JSON. The parser says: Expecting value"),
        (b"\xff\xfe\xc3", "must be JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"q": ' + b"9" * 5000 + b"}", "must be JSON"),
        (b'["q"]', "must be a JSON object. Received: list"),
        (b"null", "must be a JSON object. Received: NoneType"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, body: bytes, message: str) -> None:
    response = client.post("/translate", content=body, headers=JSON)
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_forms_are_read_as_json_is(client: httpx.Client) -> None:
    expected = client.post("/translate", json={"q": ["Où ?", "Là."], "source": "fr", "target": "en"}).json()
    found = client.post("/translate", content="q=O%C3%B9+%3F&source=fr&q=Là.&target=en".encode(), headers=FORM).json()
    assert found == expected
    form = {"q": "Là.", "source": "fr", "target": "en", "alternatives": "2"}
    assert len(client.post("/translate", data=form).json()["alternatives"]) == 2


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"q", b"%zz=%", b"q=a&source=fr&target=en&alternatives=x"])
def test_an_invalid_form_is_refused(client: httpx.Client, body: bytes) -> None:
    assert client.post("/translate", content=body, headers=FORM).status_code == 400


def test_another_type_is_refused(client: httpx.Client) -> None:
    response = client.post("/translate", content=b"<q/>", headers={"content-type": "text/xml; charset=utf-8"})
    assert response.status_code == 415
    assert "Received: text/xml." in response.json()["error"]


def test_ten_megabytes_are_refused_and_the_connection_goes_on(client: httpx.Client) -> None:
    response = client.post("/translate", json={"q": "a" * 10_000_000, "source": "fr", "target": "en"})
    assert response.status_code == 413
    assert "at most 500,000 bytes" in response.json()["error"]
    assert client.get("/health").status_code == 200


def test_the_limit_of_size_is_exact(serve: Serve, random_translator: Translator) -> None:
    url = serve(random_translator, max_request_bytes=100)
    for size, status in ((100, 400), (101, 413)):
        assert httpx.post(f"{url}/detect", content=b" " * size, headers=JSON, trust_env=False).status_code == status


def test_a_slow_request_is_refused(serve: Serve, random_translator: Translator) -> None:
    url = serve(random_translator, timeout=0.2)
    answer = exchange(url, b"POST /translate HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{", half_close=False)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"must arrive within 0.2 seconds" in answer


def test_a_client_that_closes_within_a_request_leaves_the_server_running(
    url: str, client: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    host, port = url.removeprefix("http://").split(":")
    for part in (b"", b"POST /tr", b"POST /translate HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"):
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(part)
    assert client.get("/health").status_code == 200
    assert "Traceback" not in capfd.readouterr().err
