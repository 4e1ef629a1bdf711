"""A made-up language of syllables, and tokenizers trained on it."""

from __future__ import annotations

import random
from typing import Any

from translator.config import TokenizerConfig

SYLLABLES = ("ba", "co", "dî", "fé", "gu", "l'a", "mo", "né", "pi", "ru", "ça", "to", "vi", "zè")


def sentences(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [
        " ".join("".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(rng.randint(2, 10))) + "."
        for _ in range(count)
    ]


TEXT = sentences(1500)


def config(**options: Any) -> TokenizerConfig:
    return TokenizerConfig(**({"vocab_size": 340} | options))
