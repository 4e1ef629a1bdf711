"""The error of documents that cannot be translated."""

from __future__ import annotations

from translator.errors import UserError


class DocumentError(UserError):
    """A document that cannot be read or written, or a format that is not supported."""
