"""HTTP/1.1 with what uvicorn's fastest parser leaves to its users."""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MAX_OVERHEAD = 65_536  # bytes of a request outside of its body: headers, trailers, a chunk's extensions


class Http11(HttpToolsProtocol):
    """uvicorn's protocol around httptools. It adds a limit of the size of headers, and the check for the host.

    An unfinished request on a half-closed connection receives status 400. A client that has sent a whole request and
    closes its side is gone: its texts are not translated.
    """

    _is_in_headers = False
    _is_unfinished = False
    _overhead = 0

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse a request whose headers do not end."""
        self._overhead += len(data)
        super().data_received(data)
        if self._is_unfinished and self._overhead > _MAX_OVERHEAD and not self.transport.is_closing():
            self.send_400_response("Request headers are too large.")

    def eof_received(self) -> None:
        """Refuse an unfinished request, if no response has begun."""
        is_idle = self.cycle is None or self.cycle.response_complete
        is_unanswered = is_idle if self._is_in_headers else not self.pipeline and not self.cycle.response_started
        if self._is_unfinished and is_unanswered and not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_in_headers = self._is_unfinished = True
        self._overhead = 0

    def on_headers_complete(self) -> None:
        """Start the application, unless the host is missing (RFC 9112, section 3.2)."""
        self._is_in_headers = False
        num_hosts = sum(name == b"host" for name, _ in self.headers)
        if num_hosts > 1 or (not num_hosts and self.parser.get_http_version() == "1.1"):
            raise httptools.HttpParserError("A request must have one Host header.")
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Begin a chunk of the body."""
        self._overhead = 0

    def on_body(self, body: bytes) -> None:
        """Receive a part of the body."""
        self._overhead -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._is_unfinished = False
        super().on_message_complete()
