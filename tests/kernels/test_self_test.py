"""The self-test of the kernels: it passes where they are right and fails where they are wrong."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from translator.kernels import self_test
from translator.kernels.self_test import KernelResult, run_self_test

CPU = torch.device("cpu")


def results(backend: str = "auto", dtype: torch.dtype = torch.float32) -> list[KernelResult]:
    return run_self_test(CPU, dtype, [8, 16, 8], backend, 24)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("backend", ["auto", "sdpa", "reference"])
def test_every_kernel_of_the_cpu_passes(backend: str, dtype: torch.dtype) -> None:
    found = results(backend, dtype)
    assert [result for result in found if not result.has_passed] == []
    assert len(found) == 8  # three kinds of attention for each head size, linear and ReLU, and the loss


def test_a_kernel_that_is_wrong_by_a_thousandth_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = self_test.packed_attention

    def wrong(*arguments: object, backend: str, **options: object) -> Tensor:
        out: Tensor = right(*arguments, backend=backend, **options)  # type: ignore[arg-type]
        return out if backend == "reference" else out * 1.001

    monkeypatch.setattr(self_test, "packed_attention", wrong)
    assert [result.has_passed for result in results()] == [False] * 6 + [True] * 2


def test_a_kernel_that_returns_nan_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        self_test, "linear_cross_entropy", lambda hidden, weight, *a, **b: (hidden @ weight.T).sum() * torch.nan
    )
    assert [result.has_passed for result in results()] == [True] * 7 + [False]


def test_a_kernel_that_raises_fails_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    failed = results("triton")[0]
    assert not failed.has_passed
    assert failed.failure is not None
    assert "ValueError: backend triton" in failed.failure
