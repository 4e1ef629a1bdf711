"""Projection and loss in chunks: equal to the reference, exact in its gradients, well formed as an operator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from translator.kernels import cross_entropy, linear_cross_entropy, reference
from translator.kernels.cross_entropy import chunked_linear_cross_entropy


def loss_inputs(
    num_tokens: int, d_model: int = 6, vocab_size: int = 13, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_tokens)
    hidden = torch.randn(num_tokens, d_model, generator=generator, dtype=torch.float64)
    weight = torch.randn(vocab_size, d_model, generator=generator, dtype=torch.float64)
    labels = torch.randint(vocab_size, (num_tokens,), generator=generator)
    labels[::4] = -100
    return hidden.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), labels


@pytest.fixture(params=["one chunk", "many chunks"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many chunks":
        monkeypatch.setattr(cross_entropy, "_CHUNK_ELEMENTS", 40)  # three rows of 13
        monkeypatch.setattr(cross_entropy, "_MIN_CHUNK_ROWS", 1)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("num_tokens", [0, 1, 2, 3, 7, 31])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_loss_and_gradients_agree_with_the_reference(num_tokens: int, label_smoothing: float) -> None:
    hidden, weight, labels = loss_inputs(num_tokens)
    options = {"label_smoothing": label_smoothing, "ignore_index": -100}
    expected = reference.linear_cross_entropy(hidden, weight, labels, **options)
    loss = linear_cross_entropy(hidden, weight, labels, **options)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(3 * loss, (hidden, weight)), torch.autograd.grad(3 * expected, (hidden, weight))
    )


@pytest.mark.usefixtures("chunks")
def test_gradients_are_those_of_the_function_computed() -> None:
    hidden, weight, labels = loss_inputs(7)
    assert torch.autograd.gradcheck(
        lambda h, w: linear_cross_entropy(h, w, labels, label_smoothing=0.1), (hidden, weight), fast_mode=True
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_the_error_in_float32_is_at_most_twice_the_naive_one(label_smoothing: float) -> None:
    exact_inputs = loss_inputs(200, d_model=64, vocab_size=3000)

    def computed(function: object, dtype: torch.dtype) -> list[Tensor]:
        hidden, weight = (x.detach().to(dtype).requires_grad_() for x in exact_inputs[:2])
        loss = function(hidden, weight, exact_inputs[2], label_smoothing=label_smoothing, ignore_index=-100)  # type: ignore[operator]
        return [loss.detach(), *torch.autograd.grad(loss, (hidden, weight))]

    exact = computed(reference.linear_cross_entropy, torch.float64)
    naive = computed(reference.linear_cross_entropy, torch.float32)
    ours = computed(linear_cross_entropy, torch.float32)
    for factor, x, y, truth in zip((2, 3, 3), ours, naive, exact, strict=True):
        error, naive_error = ((z.double() - truth).abs().max().item() for z in (x, y))
        assert error <= factor * naive_error + 1e-7 * truth.abs().max().item()


def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    hidden = torch.tensor([[300.0], [-300.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [0.0], [-1.0]], requires_grad=True)
    loss = linear_cross_entropy(hidden, weight, torch.tensor([2, 2]))
    loss.backward()
    assert loss.item() == pytest.approx(600.0)
    assert hidden.grad is not None and hidden.grad.isfinite().all()


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_label_whose_probability_underflows_costs_what_its_score_says(label_smoothing: float) -> None:
    hidden = torch.tensor([[1.0], [79.0], [81.0], [95.0], [200.0]])
    weight, labels = torch.tensor([[0.0], [-1.0], [0.5]]), torch.tensor([1, 1, 1, 1, 1])
    losses = [
        linear_cross_entropy(hidden.to(dtype), weight.to(dtype), labels, label_smoothing=label_smoothing).item()
        for dtype in (torch.float32, torch.float64)
    ]
    expected = reference.linear_cross_entropy(
        hidden.double(), weight.double(), labels, label_smoothing=label_smoothing, ignore_index=-100
    )
    assert losses == pytest.approx([expected.item()] * 2, rel=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_ignored_rows_contribute_neither_loss_nor_gradient(label_smoothing: float) -> None:
    hidden, weight, labels = loss_inputs(9, dtype=torch.float32)
    options = {"label_smoothing": label_smoothing, "ignore_index": -100}
    kept = (labels != -100).nonzero().squeeze(1)
    expected = linear_cross_entropy(hidden[kept], weight, labels[kept], **options)
    loss = linear_cross_entropy(hidden, weight, labels, **options)
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, hidden)
    assert not gradient[labels == -100].any() and gradient[kept].abs().min() > 0


def test_a_batch_of_ignored_rows_has_zero_loss() -> None:
    hidden, weight, labels = loss_inputs(5)
    loss = linear_cross_entropy(hidden, weight, torch.full_like(labels, -100))
    loss.backward()
    assert loss.item() == 0 and not hidden.grad.any() and not weight.grad.any()  # type: ignore[union-attr]


def test_another_ignore_index_is_used() -> None:
    hidden, weight, labels = loss_inputs(9)
    other = labels.masked_fill(labels == -100, -1)
    assert torch.equal(
        linear_cross_entropy(hidden, weight, other, ignore_index=-1), linear_cross_entropy(hidden, weight, labels)
    )


def test_without_gradients_only_the_loss_is_computed() -> None:
    hidden, weight, labels = loss_inputs(9)
    with torch.no_grad():
        loss = linear_cross_entropy(hidden, weight, labels)
    assert not loss.requires_grad
    assert torch.equal(loss, linear_cross_entropy(hidden, weight, labels).detach())


def test_bfloat16_sums_in_float32() -> None:
    hidden, weight, labels = loss_inputs(50, dtype=torch.bfloat16)
    loss = linear_cross_entropy(hidden, weight, labels, label_smoothing=0.1)
    assert loss.dtype == torch.float32
    exact = linear_cross_entropy(hidden.double(), weight.double(), labels, label_smoothing=0.1)
    assert loss.item() == pytest.approx(exact.item(), rel=5e-3)
    assert {x.dtype for x in torch.autograd.grad(loss, (hidden, weight))} == {torch.bfloat16}


@pytest.mark.parametrize("needs_grad", [False, True])
def test_the_operator_is_well_formed(needs_grad: bool) -> None:
    hidden, weight, labels = loss_inputs(5, dtype=torch.float32)
    if not needs_grad:
        hidden, weight = hidden.detach(), weight.detach()
    torch.library.opcheck(chunked_linear_cross_entropy, (hidden, weight, labels, 0.1, -100, needs_grad))


def test_invalid_arguments_are_refused() -> None:
    hidden, weight, labels = loss_inputs(5)
    with pytest.raises(ValueError, match=r"must be \(num_tokens, d_model\).* Received: \(5, 6\) and \(13, 5\)."):
        linear_cross_entropy(hidden, weight[:, :5], labels)
    with pytest.raises(ValueError, match=r"labels must be \(5,\) int64. Received: \(4,\) int64."):
        linear_cross_entropy(hidden, weight, labels[:4])
    with pytest.raises(ValueError, match=r"labels must be \(5,\) int64. Received: \(5,\) int32."):
        linear_cross_entropy(hidden, weight, labels.int())
    with pytest.raises(ValueError, match=r"one floating-point dtype\. Received: float64 and float32."):
        linear_cross_entropy(hidden, weight.float(), labels)
    with pytest.raises(ValueError, match=r"one floating-point dtype\. Received: int64 and int64."):
        linear_cross_entropy(hidden.long(), weight.long(), labels)
    with pytest.raises(ValueError, match=r"must be on one device\. Received: cpu, cpu, meta."):
        linear_cross_entropy(hidden, weight, labels.to("meta"))
    for label_smoothing in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"at least 0 and below 1. Received: {label_smoothing}."):
            linear_cross_entropy(hidden, weight, labels, label_smoothing=label_smoothing)
    with pytest.raises(ValueError, match=r"ignore_index must be negative, unlike labels\. Received: 0."):
        linear_cross_entropy(hidden, weight, labels, ignore_index=0)


@pytest.mark.parametrize("wrong", [13, -1])
def test_labels_outside_the_vocabulary_are_refused_with_checks(monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    hidden, weight, labels = loss_inputs(5)
    monkeypatch.setenv("TRANSLATOR_CHECK", "1")
    linear_cross_entropy(hidden, weight, labels)
    labels[3] = wrong
    with pytest.raises(ValueError, match=rf"below vocab_size, 13, or ignore_index, -100\. Received: \[{wrong}\]."):
        linear_cross_entropy(hidden, weight, labels)
