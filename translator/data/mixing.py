"""Proportions of the sources of a mixture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from translator.data.store import IntArray


def shares(sizes: Sequence[float], temperature: float) -> IntArray:
    """Return the share of each source, in proportion to size^(1/temperature): `(num_sources,)` float64, sum 1."""
    powers = np.array(sizes, np.float64) ** (1 / temperature)
    found: IntArray = powers / powers.sum()
    return found


def tempered_weights(weights: Sequence[float], counts: Sequence[int], temperature: float) -> tuple[float, ...]:
    """Return the number of uses per epoch of the examples of each source.

    The sources then have the shares that `shares` returns, and an epoch has as many examples as without a temperature.

    Args:
        weights: weight of each source.
        counts: number of examples of each source.
        temperature: the temperature; 1 leaves the weights.
    """
    if temperature == 1:
        return tuple(weights)
    sizes = [weight * count for weight, count in zip(weights, counts, strict=True)]
    found = shares(sizes, temperature) * sum(sizes)
    return tuple(float(size) / count if count else 0.0 for size, count in zip(found, counts, strict=True))
