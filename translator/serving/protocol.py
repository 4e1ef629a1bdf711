"""HTTP/1.1 with an answer to a request that the client ends before it is complete."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Http11(H11Protocol):
    """uvicorn's protocol. An unfinished request on a half-closed connection receives status 400.

    A client that has sent a whole request and closes its side is gone: its texts are not translated.
    """

    def eof_received(self) -> None:
        """Report the end of the input to the parser, which refuses an unfinished request."""
        is_in_headers = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        is_answered = self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE)
        if not is_answered and (is_in_headers or self.conn.their_state is h11.SEND_BODY):
            self.data_received(b"")
