"""Errors of the server."""

from __future__ import annotations

from translator.errors import UserError


class ServingError(UserError):
    """A request, or an option of the server, that cannot be served.

    Args:
        message: requirement, received value and fix.
        status: HTTP status of the response.
        retry_after: seconds after which the client may try again.
    """

    def __init__(self, message: str, status: int = 400, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
