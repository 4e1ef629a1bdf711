"""Counter-based dropout: the mask is a function of the position of a weight, so it is never stored.

Weight (query i, key j) of head h is dropped or kept by 16 bits of Philox 4x32 with seven rounds (Salmon et al., 2011,
"Parallel random numbers: as easy as 1, 2, 3"). Its key is the seed of the sequence and its counter `(j', i', 0, h)`,
where j' is j without bits 0 and 4, and i' is i without bit 3. Bit 4 of j and bit 3 of i select one of its four words,
and bit 0 of j the lower or the upper half. So one call decides on eight weights, queries i and i + 8 and keys j, j + 1,
j + 16 and j + 17, which one thread of a GPU holds in the result of a matrix instruction.

Positions count from the start of the sequence. So a mask does not depend on the other sequences of the batch, the
offset in the packed batch, trailing padding, bounds, or the tiling of a kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 7  # the minimum that passes the statistical tests of the paper, section 5
_QUERY_BLOCK, _KEY_BLOCK = 16, 32  # a block has eight groups of queries and eight of keys
_LEVELS = 2**16
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW_32_BITS = 0xFFFFFFFF


def drop_threshold(dropout_p: float) -> int:
    """Return the threshold below which the 16 bits of a weight mean that it is dropped; it has 16 bits itself."""
    return min(round(dropout_p * _LEVELS), _LEVELS - 1)


def kept_weights(seed: Tensor, heads: int, num_queries: int, num_keys: int, dropout_p: float) -> Tensor:
    """Return a mask of the weights of one sequence that dropout keeps.

    Args:
        seed: `(1,)` int64, seed of the sequence.
        heads: number of heads.
        num_queries: number of queries.
        num_keys: number of keys.
        dropout_p: probability that a weight is dropped, to 1/65536.

    Returns:
        `(heads, num_queries, num_keys)` bool, on the device of `seed`.
    """
    device = seed.device
    query_blocks, key_blocks = -(-num_queries // _QUERY_BLOCK), -(-num_keys // _KEY_BLOCK)
    key_group = torch.arange(key_blocks * 8, device=device)
    query_group = torch.arange(query_blocks * 8, device=device)[:, None]
    head = torch.arange(heads, device=device)[:, None, None]
    shape = (heads, query_blocks * 8, key_blocks * 8)
    counter = [x.expand(shape) for x in (key_group, query_group, torch.zeros_like(head), head)]
    words = torch.stack(_philox(seed, counter), dim=-1)
    halves = torch.stack((words & 0xFFFF, words >> 16), dim=-1)  # the lower half belongs to the earlier key
    # (heads, block of queries, bits 0 to 2, block of keys, bits 1 to 3, bit 4 of the key, bit 3 of the query, bit 0)
    halves = halves.view(heads, query_blocks, 8, key_blocks, 8, 2, 2, 2).permute(0, 1, 6, 2, 3, 5, 4, 7)
    bits = halves.reshape(heads, query_blocks * _QUERY_BLOCK, key_blocks * _KEY_BLOCK)[:, :num_queries, :num_keys]
    return bits >= drop_threshold(dropout_p)


def _philox(seed: Tensor, counter: list[Tensor]) -> list[Tensor]:
    """Return four 32-bit words, in int64, for each counter of four 32-bit words."""
    c0, c1, c2, c3 = counter
    key = [seed & _LOW_32_BITS, (seed >> 32) & _LOW_32_BITS]
    for _ in range(ROUNDS):
        high0, low0 = _wide_product(_MULTIPLIERS[0], c0)
        high1, low1 = _wide_product(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ key[0], low1, high0 ^ c3 ^ key[1], low0
        key = [(word + step) & _LOW_32_BITS for word, step in zip(key, _WEYL_STEPS, strict=True)]
    return [c0, c1, c2, c3]


def _wide_product(factor: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the upper and lower 32 bits of a 64-bit product, computed by halves since int64 is signed."""
    lower, upper = factor * (x & 0xFFFF), factor * (x >> 16)
    high = (upper + (lower >> 16)) >> 16
    return high, (factor * x) & _LOW_32_BITS
