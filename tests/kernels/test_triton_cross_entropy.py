"""The loss kernel of CUDA: equal to plain torch, gradients included, whole rows and rows in blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from translator.kernels import reference

IGNORED = -100


def problem(vocab_size: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(vocab_size)
    hidden = torch.randn(5, 16, generator=generator).to(dtype)
    weight = torch.randn(vocab_size, 16, generator=generator).to(dtype)
    labels = torch.randint(vocab_size, (5,), generator=generator)
    labels[1], labels[3] = vocab_size - 1, IGNORED
    return hidden, weight, labels


def exact(hidden: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float) -> list[Tensor]:
    leaves = [x.double().requires_grad_() for x in (hidden, weight)]
    loss = reference.linear_cross_entropy(*leaves, labels, label_smoothing=label_smoothing, ignore_index=IGNORED)
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> object:
    """The module, with rows and chunks small enough that every branch is entered."""
    module = pytest.importorskip("translator.kernels.triton_cross_entropy")
    monkeypatch.setattr(module, "_MAX_REGISTER_ROW", 512)
    monkeypatch.setattr(module, "_BLOCK", 256)
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", 1000)
    return module


@pytest.mark.parametrize("vocab_size", [100, 333, 600])
def test_padding_that_aligns_the_rows_changes_nothing(device: torch.device, kernel: Any, vocab_size: int) -> None:
    """Whatever it holds."""
    labels = torch.tensor([0, vocab_size - 1, 5, IGNORED], device=device)
    logits = torch.randn(4, vocab_size).to(device)
    padded, padding = kernel._empty_logits(torch.empty(4, 8, device=device), vocab_size)
    assert (vocab_size + padding) % 64 == 0 and padded.stride() == (vocab_size + padding, 1)
    results = []
    for each, columns, garbage in ((logits.clone(), 0, 0), (padded, padding, torch.nan), (padded, padding, 1e30)):
        if columns:
            torch.as_strided(padded, (4, vocab_size + padding), padded.stride()).fill_(garbage)
            each.copy_(logits)
        losses = torch.zeros(4, device=device)
        kernel.replace_by_gradient(each, labels, logits.mean(dim=1), losses, 0.1, IGNORED, True, columns)
        results.append((losses, each.clone()))
    for losses, gradient in results[1:]:
        assert torch.equal(losses, results[0][0]) and torch.equal(gradient, results[0][1])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("vocab_size", [100, 333, 512, 513, 1000])
def test_loss_and_gradients_agree_with_float64(
    device: torch.device, kernel: object, vocab_size: int, label_smoothing: float
) -> None:
    hidden, weight, labels = problem(vocab_size)
    arguments = [x.to(device) for x in (hidden, weight, labels)]
    ours = kernel.fused_linear_cross_entropy(*arguments, label_smoothing, IGNORED, True)  # type: ignore[attr-defined]
    for mine, right in zip(ours, exact(hidden, weight, labels, label_smoothing), strict=True):
        torch.testing.assert_close(mine.cpu().double(), right, atol=1e-5, rtol=1e-5)
    assert not ours[1][3].any()  # an ignored row


def test_labels_need_not_be_contiguous(device: torch.device, kernel: object) -> None:
    hidden, weight, labels = (x.to(device) for x in problem(100))
    spread = torch.stack((labels, torch.zeros_like(labels)), dim=1)[:, 0]
    fused = kernel.fused_linear_cross_entropy  # type: ignore[attr-defined]
    for mine, right in zip(
        fused(hidden, weight, spread, 0.1, IGNORED, True),
        fused(hidden, weight, labels, 0.1, IGNORED, True),
        strict=True,
    ):
        assert torch.equal(mine, right)


@pytest.mark.parametrize("vocab_size", [333, 1000])
def test_without_gradients_the_loss_is_the_same(device: torch.device, kernel: object, vocab_size: int) -> None:
    arguments = [x.to(device) for x in problem(vocab_size)]
    fused = kernel.fused_linear_cross_entropy  # type: ignore[attr-defined]
    loss, grad_hidden, grad_weight = fused(*arguments, 0.1, IGNORED, False)
    assert torch.equal(loss, fused(*arguments, 0.1, IGNORED, True)[0])
    assert not grad_hidden.numel() and not grad_weight.numel()


@pytest.mark.parametrize("vocab_size", [333, 1000])
def test_half_precision_is_close_to_float64(device: torch.device, kernel: object, vocab_size: int) -> None:
    hidden, weight, labels = problem(vocab_size, torch.bfloat16)
    arguments = [x.to(device) for x in (hidden, weight, labels)]
    loss, *gradients = kernel.fused_linear_cross_entropy(*arguments, 0.1, IGNORED, True)  # type: ignore[attr-defined]
    right, *exact_gradients = exact(hidden, weight, labels, 0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.cpu().double(), right, atol=0, rtol=1e-2)
    for mine, gradient in zip(gradients, exact_gradients, strict=True):
        assert (mine.cpu().double() - gradient).norm() < 2e-2 * gradient.norm()


@pytest.mark.parametrize("needs_grad", [True, False])
def test_nothing_is_written_beyond_a_row(device: torch.device, kernel: object, needs_grad: bool) -> None:
    for vocab_size in (100, 600):
        buffer = torch.full((4, vocab_size + 50), 777.0, device=device)
        buffer[:, :vocab_size] = torch.randn(4, vocab_size).to(device)
        before = buffer.clone()
        labels, losses = torch.tensor([0, vocab_size - 1, 5, IGNORED], device=device), torch.zeros(4, device=device)
        logits = buffer[:, :vocab_size]
        kernel.replace_by_gradient(logits, labels, logits.mean(dim=1), losses, 0.1, IGNORED, needs_grad)  # type: ignore[attr-defined]
        assert (buffer[:, vocab_size:] == 777).all()
        assert torch.equal(buffer, before) is not needs_grad


def test_scores_far_apart_neither_overflow_nor_vanish(device: torch.device, kernel: object) -> None:
    for vocab_size in (100, 600):
        logits = torch.full((2, vocab_size), -1e4, device=device)
        logits[:, 3] = 1e4
        labels, losses = torch.tensor([3, 4], device=device), torch.zeros(2, device=device)
        kernel.replace_by_gradient(logits, labels, logits.mean(dim=1), losses, 0.0, IGNORED, True)  # type: ignore[attr-defined]
        torch.testing.assert_close(losses.cpu(), torch.tensor([0.0, 2e4]))
        assert logits.isfinite().all() and logits[1, 3] == 1 and logits[1, 4] == -1
