from __future__ import annotations

import gc
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from translator.serving.errors import ServingError
from translator.serving.server import address, listen, serve


def test_port_0_is_any_free_port() -> None:
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        assert port > 0
        assert address(sock) == f"http://127.0.0.1:{port}"


@pytest.mark.skipif(not socket.has_ipv6, reason="Python was built without IPv6")
def test_an_ipv6_address_is_in_brackets() -> None:
    try:
        sock = listen("::1", 0)
    except ServingError:
        pytest.skip("this machine has no IPv6 loopback interface")
    with sock:
        assert address(sock).startswith("http://[::1]:")


def test_a_port_in_use_is_refused() -> None:
    with listen("127.0.0.1", 0) as sock, pytest.raises(ServingError, match=r"already in use\. Choose another"):
        listen("127.0.0.1", sock.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, "256.1.1.1"])
def test_an_unknown_host_is_refused(host: str) -> None:
    with pytest.raises(ServingError, match="cannot listen on"):
        listen(host, 0)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(ServingError, match=rf"from 0 to 65535\. Received: {port}"):
        listen("127.0.0.1", port)


def test_the_garbage_collector_leaves_out_what_was_loaded_before() -> None:
    counts: list[int] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        counts.append(gc.get_freeze_count())
        signal.raise_signal(signal.SIGINT)
        yield

    try:
        with listen("127.0.0.1", 0) as sock, pytest.raises(KeyboardInterrupt):
            serve(FastAPI(lifespan=lifespan), sock, timeout=1)
    finally:
        gc.unfreeze()
    assert counts[0] > 10_000
