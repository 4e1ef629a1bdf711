"""The error of decoding."""

from __future__ import annotations

from translator.errors import UserError


class DecodingError(UserError):
    """A model, an input or an option that decoding cannot use."""
