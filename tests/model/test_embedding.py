"""Embeddings and the ways in which positions enter."""

from __future__ import annotations

import math

import pytest
import torch

from translator.model.embedding import PositionTable, RotaryPositions, TokenEmbedding, sinusoids


def test_token_vectors_are_scaled_on_the_way_in_and_plain_on_the_way_out() -> None:
    embedding = TokenEmbedding(10, 16)
    torch.testing.assert_close(embedding(torch.tensor([3, 9])), 4 * embedding.weight[[3, 9]])
    hidden = torch.randn(2, 16)
    torch.testing.assert_close(embedding.logits(hidden), hidden @ embedding.weight.T)
    assert embedding.bfloat16().logits(hidden.bfloat16()).dtype == torch.bfloat16


def test_fresh_token_vectors_enter_with_unit_variance() -> None:
    torch.manual_seed(0)
    embedded = TokenEmbedding(500, 64)(torch.arange(500))
    assert embedded.std().item() == pytest.approx(1, abs=0.02)


def test_sinusoids_are_those_of_the_paper() -> None:
    table = sinusoids(50, 8, "interleaved")
    for position in (0, 1, 49):
        for i in range(4):
            angle = position / 10000 ** (2 * i / 8)
            assert table[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_the_two_layouts_of_sinusoids_are_equal_up_to_a_permutation() -> None:
    interleaved, halves = sinusoids(50, 16, "interleaved"), sinusoids(50, 16, "halves")
    assert torch.equal(interleaved[:, [*range(0, 16, 2), *range(1, 16, 2)]], halves)


def test_learned_positions_are_a_parameter_and_sinusoids_are_not() -> None:
    learned, fixed = PositionTable(20, 8, "learned"), PositionTable(20, 8, "halves")
    assert len(list(learned.parameters())) == 1 and not list(fixed.parameters())
    learned(torch.tensor([3, 3, 5])).sum().backward()
    assert learned.table.grad is not None
    assert learned.table.grad.sum(dim=1).tolist() == [0.0, 0.0, 0.0, 16.0, 0.0, 8.0] + [0.0] * 14


def test_rotated_scores_depend_on_distance_alone() -> None:
    rotary = RotaryPositions(8, 100)
    q, k = torch.randn(2, 1, 1, 8, dtype=torch.float32).unbind(0)

    def score(position_q: int, position_k: int) -> float:
        return float((rotary(q, torch.tensor([position_q])) * rotary(k, torch.tensor([position_k]))).sum())

    assert score(7, 3) == pytest.approx(score(84, 80), abs=1e-4)
    assert score(3, 7) == pytest.approx(score(13, 17), abs=1e-4)
    assert score(7, 3) != pytest.approx(score(7, 4), abs=1e-4)


def test_rotation_keeps_lengths_and_position_zero_keeps_everything() -> None:
    rotary, x = RotaryPositions(6, 100), torch.randn(4, 3, 6)
    rotated = rotary(x, torch.tensor([0, 1, 50, 99]))
    torch.testing.assert_close(rotated.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(rotated[0], x[0])
    assert rotary(x.bfloat16(), torch.tensor([0, 1, 50, 99])).dtype == torch.bfloat16
