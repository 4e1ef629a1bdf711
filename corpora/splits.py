"""Rules of the splits that the generators share."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32


def is_selected(combination: Sequence[str], one_in: int, residue: int) -> bool:
    """Return True for one combination in `one_in`, by a checksum of its names, whatever the seed."""
    return crc32("|".join(combination).encode()) % one_in == residue


def require_split(split: str, splits: Sequence[str]) -> None:
    """Raise ValueError if a corpus has no such split."""
    if split not in splits:
        raise ValueError(f"split must be one of {', '.join(splits)}. Received: {split!r}.")
