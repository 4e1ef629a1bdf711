"""Frames: sentences with a place for a phrase, in both languages."""

from __future__ import annotations

import random
from collections.abc import Sequence

Pair = tuple[str, str]


def in_frame(draw: random.Random, frames: Sequence[Pair], french: str, english: str) -> Pair:
    """Return a phrase and its translation in a random frame.

    Args:
        draw: the only source of chance.
        frames: pairs of sentences; `{}` is the place of the phrase.
        french: the phrase.
        english: its translation.
    """
    french_frame, english_frame = draw.choice(frames)
    return french_frame.format(french), english_frame.format(english)
