"""The reference itself: the few things about attention and the loss that can be known without computing them twice."""

from __future__ import annotations

import math

import pytest
import torch
from attention_cases import CASES, attend, attention_inputs
from torch.nn import functional as F

from translator.kernels import reference


@pytest.mark.parametrize("causal", [False, True])
def test_weights_of_each_query_sum_to_one(causal: bool) -> None:
    q, k, *_ = attention_inputs([5], [7])
    weights = reference.attention_weights(q, k, causal=causal, scale=0.3)
    assert weights.shape == (2, 5, 7)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5, dtype=torch.float64))


@pytest.mark.parametrize(("num_queries", "num_keys"), [(4, 4), (2, 5), (5, 2), (1, 6)])
def test_causal_is_aligned_at_the_bottom_right(num_queries: int, num_keys: int) -> None:
    q, k, *_ = attention_inputs([num_queries], [num_keys])
    weights = reference.attention_weights(q, k, causal=True, scale=1.0)
    for i in range(num_queries):
        for j in range(num_keys):
            assert bool((weights[:, i, j] > 0).all()) == (j - i <= num_keys - num_queries)


def test_it_agrees_with_torch_on_one_sentence() -> None:
    inputs = attention_inputs([6], [6])
    q, k, v = (x.transpose(0, 1) for x in inputs[:3])
    for causal in (False, True):
        expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(0, 1)
        torch.testing.assert_close(attend("reference", causal, inputs), expected)


def test_a_single_key_passes_its_value_through() -> None:
    inputs = attention_inputs([1, 3], [1, 1])
    expected = inputs[2][[0, 1, 1, 1]]
    torch.testing.assert_close(attend("reference", False, inputs), expected)


@pytest.mark.parametrize("case", CASES)
def test_each_sequence_attends_to_itself_alone(case: str) -> None:
    lengths_q, lengths_k = CASES[case]
    q, k, v, cu_seqlens_q, cu_seqlens_k = inputs = attention_inputs(lengths_q, lengths_k)
    out = attend("reference", True, inputs)
    for s in range(len(lengths_q)):
        rows = slice(int(cu_seqlens_q[s]), int(cu_seqlens_q[s + 1]))
        keys = slice(int(cu_seqlens_k[s]), int(cu_seqlens_k[s + 1]))
        alone = torch.tensor([0, lengths_q[s]], dtype=torch.int32), torch.tensor([0, lengths_k[s]], dtype=torch.int32)
        torch.testing.assert_close(out[rows], attend("reference", True, (q[rows], k[keys], v[keys], *alone)))


def test_the_loss_of_uniform_scores_is_the_logarithm_of_the_vocabulary() -> None:
    hidden, weight = torch.zeros(3, 4, dtype=torch.float64), torch.randn(11, 4, dtype=torch.float64)
    for label_smoothing in (0.0, 0.3):
        loss = reference.linear_cross_entropy(
            hidden, weight, torch.tensor([1, 2, 10]), label_smoothing=label_smoothing, ignore_index=-100
        )
        assert loss.item() == pytest.approx(3 * math.log(11))


def test_the_loss_agrees_with_torch() -> None:
    hidden, weight = torch.randn(6, 4, dtype=torch.float64), torch.randn(11, 4, dtype=torch.float64)
    labels = torch.tensor([1, -100, 0, 10, -100, 5])
    for label_smoothing in (0.0, 0.1):
        expected = F.cross_entropy(hidden @ weight.T, labels, label_smoothing=label_smoothing, reduction="sum")
        loss = reference.linear_cross_entropy(
            hidden, weight, labels, label_smoothing=label_smoothing, ignore_index=-100
        )
        torch.testing.assert_close(loss, expected)
