"""Coverage of a text by a tokenizer: tokens per word, and characters without a piece."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from translator.tokenizer.tokenizer import Tokenizer

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_MAX_UNKNOWN = 12  # characters that a report lists


@dataclass(frozen=True)
class Coverage:
    """Statistics of a tokenizer on a sample of text.

    Attributes:
        fertility: tokens per word; words are separated by spaces.
        characters_per_token: characters per token.
        unknown_fraction: fraction of the characters that have no piece and are encoded as bytes.
        unknown: the most frequent of these characters.
        used_fraction: fraction of the vocabulary that occurs in the sample.
    """

    fertility: float
    characters_per_token: float
    unknown_fraction: float
    unknown: tuple[str, ...]
    used_fraction: float


def measure_coverage(tokenizer: Tokenizer, texts: Sequence[str]) -> Coverage:
    """Measure a tokenizer on texts; all values are 0 if they contain no word."""
    rows = tokenizer.encode_batch(texts)
    num_tokens = sum(map(len, rows))
    characters = Counter("".join(tokenizer.normalize(text) for text in texts))
    del characters[" "]
    unknown = Counter(
        {character: count for character, count in characters.items() if _is_unknown(tokenizer, character)}
    )
    total = max(1, characters.total())
    return Coverage(
        fertility=num_tokens / max(1, sum(len(text.split()) for text in texts)),
        characters_per_token=sum(map(len, texts)) / max(1, num_tokens),
        unknown_fraction=unknown.total() / total,
        unknown=tuple(character for character, _ in unknown.most_common(_MAX_UNKNOWN)),
        used_fraction=len({token for row in rows for token in row}) / tokenizer.vocab_size,
    )


def _is_unknown(tokenizer: Tokenizer, character: str) -> bool:
    """Return True if a character is encoded as bytes."""
    return any(_BYTE.fullmatch(piece) for piece in tokenizer.pieces(tokenizer.encode(character)))
