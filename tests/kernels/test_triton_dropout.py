"""Dropout of the Triton kernel: the mask of plain torch, with its gradient."""

from __future__ import annotations

import pytest
import torch

from translator.kernels.dropout import keep_mask

pytestmark = pytest.mark.usefixtures("device")


@pytest.mark.parametrize("shape", [(1, 1), (7, 33), (40, 64), (0, 5)])
@pytest.mark.parametrize("has_residual", [False, True])
def test_results_and_gradients_are_those_of_the_mask(
    device: torch.device, shape: tuple[int, int], has_residual: bool
) -> None:
    kernel = pytest.importorskip("translator.kernels.triton_dropout")
    torch.manual_seed(0)
    keys = torch.randint(-(2**62), 2**62, shape[:1], device=device)
    x = torch.randn(shape, device=device, requires_grad=True)
    residual = torch.randn(shape, device=device, requires_grad=True) if has_residual else None
    out = kernel.triton_dropout(x, keys, 0.3, residual)
    mask = keep_mask(keys.cpu(), shape[1], 0.3).to(device)
    torch.testing.assert_close(out, x * mask + (0 if residual is None else residual))
    out.backward(torch.full_like(out, 2.0))
    torch.testing.assert_close(x.grad, 2 * mask)
    if residual is not None:
        assert residual.grad is not None and (residual.grad == 2).all()


def test_a_residual_keeps_its_dtype(device: torch.device) -> None:
    kernel = pytest.importorskip("translator.kernels.triton_dropout")
    x = torch.ones(3, 8, dtype=torch.bfloat16, device=device, requires_grad=True)
    out = kernel.triton_dropout(x, torch.arange(3, device=device), 0.5, torch.ones(3, 8, device=device))
    assert out.dtype == torch.float32 and set(out.unique().tolist()) == {1.0, 3.0}
    out.sum().backward()
    assert x.grad is not None and x.grad.dtype == torch.bfloat16
