"""Servers in a thread, and clients on bare sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from translator import Translator
from translator.serving.app import create_app
from translator.serving.batcher import Batcher
from translator.serving.protocol import Http11
from translator.serving.server import address, listen
from translator.serving.service import Limits

Serve = Callable[..., str]
_BATCHERS: dict[str, Batcher] = {}  # by address of the server


@contextmanager
def served(translator: Translator, limits: Limits) -> Iterator[str]:
    """Serve on a free port of the loopback interface until the context ends; the value is the address."""
    with listen("127.0.0.1", 0) as sock:
        app = create_app(translator, "fr", "en", limits)
        server = uvicorn.Server(uvicorn.Config(app, http=Http11, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        url = address(sock)
        _BATCHERS[url] = app.state.batcher
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def busy(batcher: Batcher) -> Iterator[None]:
    """Within the context, the thread of the batcher is busy, so that texts wait."""
    started, end = threading.Event(), threading.Event()

    def wait(translator: Translator) -> None:
        started.set()
        end.wait()

    future = batcher.call(wait)
    started.wait()
    try:
        yield
    finally:
        end.set()
        future.result()


@contextmanager
def busy_server(url: str) -> Iterator[None]:
    """Within the context, texts that the server receives wait."""
    with busy(_BATCHERS[url]):
        yield


def exchange(url: str, request: bytes, *, half_close: bool) -> bytes:
    """Send bytes, close the sending side if asked to, and return what the server sends until it closes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall(request)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        received = b""
        while b"\r\n\r\n{" not in received and (data := sock.recv(65536)):
            received += data
        return received
