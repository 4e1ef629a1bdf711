"""HTTP/1.1 with what uvicorn's fastest parser leaves to its users."""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MAX_OVERHEAD = 65_536  # bytes of a request outside of its body: headers, trailers, a chunk's extensions
_INVALID = "Invalid HTTP request received."


class Http11(HttpToolsProtocol):
    """uvicorn's protocol around httptools, with a limit of the size of headers and the check for the host.

    An unfinished request on a half-closed connection receives status 400. A client that has sent a whole request and
    closes its side is gone: its texts are not translated. Offers to change the protocol are ignored, as Java's client
    makes them for HTTP/2; httptools takes the body of such a request for the other protocol.
    """

    _is_in_headers = False
    _is_unfinished = False
    _overhead = 0

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse a request that is invalid or whose headers do not end."""
        self._unset_keepalive_if_required()
        self._overhead += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(_INVALID)
        else:
            if self._is_unfinished and self._overhead > _MAX_OVERHEAD:
                self._refuse("Request headers are too large.")

    def eof_received(self) -> None:
        """Refuse an unfinished request, if no response has begun."""
        if not self._is_unfinished:
            return
        if self._is_in_headers:
            is_unanswered = self.cycle is None or self.cycle.response_complete
        else:
            is_unanswered = not self.pipeline and not self.cycle.response_started
        if is_unanswered:
            self._refuse(_INVALID)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_in_headers = self._is_unfinished = True
        self._overhead = 0

    def on_headers_complete(self) -> None:
        """Start the application, unless the host is missing (RFC 9112, section 3.2)."""
        num_hosts = sum(name == b"host" for name, _ in self.headers)
        if num_hosts > 1 or (not num_hosts and self.parser.get_http_version() == "1.1"):
            raise httptools.HttpParserError("A request must have one Host header.")
        if self.parser.get_method() == b"CONNECT":
            raise httptools.HttpParserError("CONNECT is for proxies.")
        if not self.parser.should_upgrade():
            self._is_in_headers = False
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
        if not self.parser.should_upgrade():
            self._is_unfinished = False
            super().on_message_complete()

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Parse a request again without the offer to change the protocol.

        Args:
            rest: bytes after the headers.
        """
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _refuse(self, reason: str) -> None:
        if not self.transport.is_closing():
            self.logger.warning(reason)
            self.send_400_response(reason)
