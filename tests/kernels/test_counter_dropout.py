"""The mask of counter-based dropout: the published generator, at the right rate, and a function of place alone."""

from __future__ import annotations

import pytest
import torch

from translator.kernels.counter_dropout import _philox, kept_weights


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0, 0, 0, 0], 0, [0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48]),
        ([2**32 - 1] * 4, -1, [0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            0x299F31D0A4093822,
            [0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A],
        ),
    ],
)
def test_the_generator_gives_the_published_numbers(counter: list[int], key: int, expected: list[int]) -> None:
    words = _philox(torch.tensor([key]), [torch.tensor([word]) for word in counter])
    assert [int(word) for word in words] == expected


@pytest.mark.parametrize(("query", "key"), [(0, 0), (7, 1), (9, 17), (23, 46), (40, 31)])
def test_a_weight_is_decided_by_its_documented_bits(query: int, key: int) -> None:
    """It is kept up to the probability that they are as a fraction of 2^16."""
    counter = [key // 32 * 8 + key % 16 // 2, query // 16 * 8 + query % 8, 0, 1]
    words = _philox(torch.tensor([77]), [torch.tensor([number]) for number in counter])
    word = int(words[key // 16 % 2 * 2 + query // 8 % 2])
    bits = word >> 16 if key % 2 else word & 0xFFFF
    for dropped, is_kept in ((bits, True), (bits + 1, False)):
        assert kept_weights(torch.tensor([77]), 2, 41, 47, dropped / 2**16)[1, query, key] == is_kept


@pytest.mark.parametrize("dropout_p", [0.1, 0.5, 0.9])
def test_weights_are_dropped_at_the_requested_rate(dropout_p: float) -> None:
    kept = kept_weights(torch.tensor([3]), 8, 100, 100, dropout_p)
    deviation = (dropout_p * (1 - dropout_p) / kept.numel()) ** 0.5
    assert abs(kept.float().mean() - (1 - dropout_p)) < 5 * deviation


def test_no_weight_is_dropped_with_probability_zero() -> None:
    assert kept_weights(torch.tensor([3]), 2, 50, 50, 0.0).all()


def test_decisions_do_not_repeat_across_seeds_heads_queries_and_keys() -> None:
    def drawn(seed: int) -> torch.Tensor:
        return kept_weights(torch.tensor([seed]), 2, 32, 32, 0.5)

    base = drawn(1)
    others = [drawn(2), drawn(1 + 2**32), base.flip(0), base.roll(1, 1), base.roll(1, 2)]
    others.append(base.transpose(1, 2))
    for other in others:
        assert 0.4 < (base == other).float().mean() < 0.6


def test_a_mask_does_not_depend_on_its_size() -> None:
    seed = torch.tensor([5])
    large = kept_weights(seed, 4, 40, 50, 0.3)
    assert torch.equal(kept_weights(seed, 2, 7, 13, 0.3), large[:2, :7, :13])
