"""Sockets and processes: the server from its first connection to its graceful stop."""

from __future__ import annotations

import gc
import os
import socket

import uvicorn
from fastapi import FastAPI

from translator.serving.errors import ServingError
from translator.serving.protocol import Http11

_BACKLOG = 2048  # connections that the system keeps until they are accepted
_KEEP_ALIVE = 30  # seconds


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Connections wait there until `serve` starts.

    Args:
        host: name or address.
        port: number of the port; 0 is any that is free.

    Raises:
        ServingError: if the address does not exist or is in use.
    """
    if not 0 <= port <= 65535:
        raise ServingError(f"--port must be from 0 to 65535. Received: {port}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", str(error))
        raise ServingError(
            f"The server cannot listen on {host}, port {port}: {reason}. Choose another --host or --port."
        ) from None


def address(sock: socket.socket) -> str:
    """Return the address of a listening socket as a URL."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, sock: socket.socket, timeout: float) -> None:
    """Serve until SIGINT or SIGTERM. Requests that have arrived by then are answered.

    Args:
        app: the application.
        sock: listening socket.
        timeout: maximum time to finish requests after the signal, in seconds.
    """
    config = uvicorn.Config(
        app,
        http=Http11,
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(timeout)),
        server_header=False,
    )
    # The objects of the libraries and of the model stay until the end. Collections that look at all of them would take
    # half of the event loop's time.
    gc.collect()
    gc.freeze()
    uvicorn.Server(config).run(sockets=[sock])
