"""Keyed dropout: at the right rate, a function of key and column alone, and the same on every path."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from translator.kernels import keyed_dropout
from translator.kernels.dropout import is_kept, keep_mask, mixed


def random_keys(rows: int, seed: int = 0) -> Tensor:
    return torch.randint(-(2**63), 2**63 - 1, (rows,), generator=torch.Generator().manual_seed(seed))


def test_the_generator_gives_the_published_numbers() -> None:
    """The first numbers of SplitMix64 from state 1234567, as other implementations list them."""
    states = (
        torch.tensor([1234567]).numpy().view("uint64")
        + torch.arange(1, 4).numpy().astype("uint64") * 0x9E3779B97F4A7C15
    )
    assert mixed(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("dropout_p", [0.1, 0.3, 0.9])
def test_a_mask_has_the_right_rate_and_scale(dropout_p: float) -> None:
    mask = keep_mask(random_keys(300), 1001, dropout_p)
    assert mask.dtype == torch.float32 and mask.shape == (300, 1001)
    assert sorted(mask.unique().tolist()) == pytest.approx([0.0, 1 / (1 - dropout_p)])
    assert (mask == 0).float().mean().item() == pytest.approx(dropout_p, abs=0.005)


@pytest.mark.parametrize("dropout_p", [1e-9, 0.5, 0.999999])
def test_a_mask_takes_any_probability_below_one(dropout_p: float) -> None:
    mask = keep_mask(random_keys(10), 100, dropout_p)
    assert mask.isfinite().all() and (mask >= 0).all()


def test_decisions_are_independent_across_rows_and_columns() -> None:
    """Keys one apart, as of neighbouring tokens, give decisions that are not correlated."""
    kept = (keep_mask(torch.arange(400), 400, 0.5) > 0).double()
    for table in (kept, kept.T):
        correlations = torch.corrcoef(table) - torch.eye(400, dtype=torch.float64)
        assert correlations.abs().max() < 0.3 and correlations.abs().mean() < 0.045


def test_a_row_does_not_depend_on_the_other_rows_and_columns() -> None:
    keys = random_keys(5000)
    mask = keep_mask(keys, 37, 0.4)
    assert torch.equal(keep_mask(keys[4321:4322], 37, 0.4), mask[4321:4322])
    assert torch.equal(keep_mask(keys[:7], 13, 0.4), mask[:7, :13])
    assert keep_mask(keys[:0], 5, 0.4).shape == (0, 5)


@pytest.mark.parametrize("columns", [1, 4, 37, 512])
def test_the_fused_expression_keeps_what_the_mask_keeps(columns: int) -> None:
    keys = random_keys(50)
    assert torch.equal(is_kept(keys, columns, 0.3), keep_mask(keys, columns, 0.3) > 0)


@pytest.mark.parametrize("has_residual", [False, True])
def test_compiled_dropout_is_eager_dropout(has_residual: bool) -> None:
    keys, residual = random_keys(20), torch.randn(20, 30) if has_residual else None

    def result(run: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        x = torch.linspace(-1, 1, 600).view(20, 30).requires_grad_()
        out = run(x, keys, 0.3, residual)
        return out.detach(), torch.autograd.grad(out, x, torch.ones_like(out))[0]

    compiled = torch.compile(keyed_dropout, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(result(compiled), result(keyed_dropout))


def test_keys_of_another_shape_or_dtype_are_refused() -> None:
    message = r"x must be \(rows, columns\) and keys \(rows,\) int64. Received: \(3, 4\) and \(2,\) int64"
    with pytest.raises(ValueError, match=message):
        keyed_dropout(torch.ones(3, 4), torch.tensor([1, 2]), 0.5)
    with pytest.raises(ValueError, match=r"and \(3,\) int32"):
        keyed_dropout(torch.ones(3, 4), torch.ones(3, dtype=torch.int32), 0.5)
