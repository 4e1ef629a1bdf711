"""Servers in a thread, and clients on bare sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from translator import Translator
from translator.serving.app import create_app
from translator.serving.batcher import Batcher
from translator.serving.protocol import Http11
from translator.serving.server import address, listen
from translator.serving.service import Limits

Serve = Callable[..., str]
_BATCHERS: dict[str, tuple[Batcher, asyncio.AbstractEventLoop]] = {}  # by address of the server


@contextmanager
def served(translator: Translator, limits: Limits) -> Iterator[str]:
    """Serve on a free port of the loopback interface until the context ends; the value is the address."""
    with listen("127.0.0.1", 0) as sock:
        app = create_app(translator, "fr", "en", limits)
        server = uvicorn.Server(uvicorn.Config(app, http=Http11, log_level="error", ws="none"))
        url = address(sock)

        async def run() -> None:
            """Serve, and note the event loop."""
            _BATCHERS[url] = app.state.batcher, asyncio.get_running_loop()
            await server.serve([sock])

        factory = server.config.get_loop_factory()
        thread = threading.Thread(target=lambda: asyncio.Runner(loop_factory=factory).run(run()))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join()


@asynccontextmanager
async def busy(batcher: Batcher) -> AsyncIterator[None]:
    """Within the context, the thread of the batcher is busy, so that texts wait."""
    started, end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(translator: Translator) -> None:
        loop.call_soon_threadsafe(started.set)
        end.wait()

    future = batcher.call(wait)
    await started.wait()
    try:
        yield
    finally:
        end.set()
        await future


@contextmanager
def busy_server(url: str) -> Iterator[None]:
    """Within the context, texts that the server receives wait."""
    batcher, loop = _BATCHERS[url]
    context = busy(batcher)
    asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()


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
