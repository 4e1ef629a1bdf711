"""The CPU path: exact gradients, dropout that the backward pass replays, and a well-formed torch operator."""

from __future__ import annotations

import pytest
import torch
from attention_cases import CASES, attend, attention_inputs, with_gradients
from torch import Tensor

from translator.kernels.grouped import (
    grouped_attention,
    grouped_attention_backward,
    grouped_attention_operator,
)

GRADCHECKED = ["odd lengths", "cross, fewer queries", "cross, more queries", "zero lengths"]
SMALL = {case: ([min(n, 5) for n in CASES[case][0]], [min(n, 6) for n in CASES[case][1]]) for case in GRADCHECKED}


@pytest.mark.parametrize("case", GRADCHECKED)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dropout_p", [0.0, 0.3])
def test_gradients_are_those_of_the_function_computed(case: str, causal: bool, dropout_p: float) -> None:
    inputs = attention_inputs(*SMALL[case], heads=1, head_dim=3, padding=1, requires_grad=True)
    seeds = torch.arange(len(inputs[3]) - 1)

    def function(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return grouped_attention([x.unsqueeze(1) for x in (q, k, v)], *inputs[3:], causal, 0.7, dropout_p, seeds)

    assert torch.autograd.gradcheck(function, inputs[:3], fast_mode=True)


def dropped_weights(lengths: list[int], causal: bool, seed: int, dropout_p: float) -> tuple[Tensor, Tensor]:
    """Attention weights of each query, with and without dropout, read out by values that are unit vectors."""
    longest = max(lengths)
    q, k, _, *offsets = attention_inputs(lengths, lengths, heads=3, head_dim=longest)
    v = torch.cat([torch.eye(longest, dtype=q.dtype)[:n] for n in lengths])[:, None, :].expand(-1, 3, -1)
    options = {"dropout_p": dropout_p, "seeds": torch.arange(len(lengths)) + seed}
    inputs = (q, k, v.contiguous(), *offsets)
    return attend("grouped", causal, inputs, **options), attend("grouped", causal, inputs)


@pytest.mark.parametrize("causal", [False, True])
def test_each_weight_is_dropped_or_scaled_and_at_the_right_rate(causal: bool) -> None:
    dropped, plain = dropped_weights([30, 5, 29, 17, 40, 40, 1, 33, 12], causal, seed=3, dropout_p=0.3)
    is_seen = plain > 1e-12
    ratio = dropped[is_seen] / plain[is_seen]
    assert set(ratio.mul(0.7).round(decimals=5).unique().tolist()) == {0.0, 1.0}
    assert (ratio == 0).double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert not dropped[~is_seen].any()


def test_dropout_decisions_do_not_repeat_across_heads_sequences_and_groups() -> None:
    dropped, _ = dropped_weights([30] * 4 + [9] * 12, False, seed=3, dropout_p=0.5)
    kept = (dropped > 0).double() - 0.5
    sentences = [kept[30 * s : 30 * s + 30, h, :30].flatten() for s in range(4) for h in range(3)]
    correlations = torch.corrcoef(torch.stack(sentences)) - torch.eye(12, dtype=torch.float64)
    assert correlations.abs().max() < 0.15


@pytest.mark.parametrize("causal", [False, True])
def test_dropout_does_not_depend_on_the_other_sequences(causal: bool) -> None:
    lengths, seeds = [30, 5, 29, 17], torch.tensor([3, 9, 5, 7])
    inputs = attention_inputs(lengths, lengths, dtype=torch.float32)
    together = attend("grouped", causal, inputs, dropout_p=0.3, seeds=seeds).split(lengths)
    for sequence, rows in enumerate(zip(*(x.split(lengths) for x in inputs[:3]), strict=True)):
        offsets = torch.tensor([0, lengths[sequence]], dtype=torch.int32)
        alone = attend(
            "grouped", causal, (*rows, offsets, offsets), dropout_p=0.3, seeds=seeds[sequence : sequence + 1]
        )
        torch.testing.assert_close(alone, together[sequence])


def test_results_are_right_for_more_layouts_than_the_plan_cache_holds() -> None:
    for n in range(1, 80):
        inputs = attention_inputs([n], [3], dtype=torch.float32)
        torch.testing.assert_close(attend("grouped", True, inputs), attend("reference", True, inputs))


def test_bfloat16_is_no_worse_than_the_naive_computation() -> None:
    inputs = attention_inputs(*CASES["odd lengths"])
    exact, _ = with_gradients(lambda *x: attend("reference", True, x), inputs, torch.float64)
    naive, _ = with_gradients(lambda *x: attend("reference", True, x), inputs, torch.bfloat16)
    out, _ = with_gradients(lambda *x: attend("grouped", True, x), inputs, torch.bfloat16)
    assert (out - exact).abs().max() <= 2 * (naive - exact).abs().max()


@pytest.mark.parametrize("dropout_p", [0.0, 0.4])
def test_recomputed_gradients_equal_those_from_stored_weights(dropout_p: float) -> None:
    inputs = attention_inputs(*CASES["odd lengths"], padding=2, dtype=torch.float32)
    rest = (True, 0.3, dropout_p, torch.arange(len(inputs[3]) - 1))
    kept, kept_gradients = with_gradients(
        lambda q, k, v, *x: grouped_attention([y.unsqueeze(1) for y in (q, k, v)], *x, *rest), inputs, torch.float32
    )
    again, again_gradients = with_gradients(lambda *x: grouped_attention_operator(*x, *rest), inputs, torch.float32)
    assert torch.equal(kept, again)
    assert all(torch.equal(a, b) for a, b in zip(kept_gradients, again_gradients, strict=True))


def operator_arguments(dropout_p: float) -> tuple[object, ...]:
    inputs = attention_inputs([3, 0, 5], [2, 4, 5], padding=1, dtype=torch.float32, requires_grad=True)
    return *inputs, True, 0.5, dropout_p, torch.arange(len(inputs[3]) - 1)


@pytest.mark.parametrize("dropout_p", [0.0, 0.2])
def test_the_operators_are_well_formed(dropout_p: float) -> None:
    arguments = operator_arguments(dropout_p)
    torch.library.opcheck(grouped_attention_operator, arguments)
    grad_out = torch.randn(9, 2, 8)
    detached = tuple(x.detach() if isinstance(x, Tensor) else x for x in arguments)
    torch.library.opcheck(grouped_attention_backward, (grad_out, *detached))
