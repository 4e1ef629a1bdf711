"""The most probable tokens of each row, in plain torch and in Triton, equal those of a full sort."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from torch import Tensor

from translator.kernels import top_tokens


def sorted_tokens(logits: Tensor, count: int, first_token: int) -> tuple[Tensor, Tensor]:
    """By what `top_tokens` promises: log-probabilities by falling logit, of equal ones the first."""
    log_probabilities = logits.double().log_softmax(dim=1).float()
    allowed = logits.clone()
    allowed[:, :first_token] = -math.inf
    log_probabilities[:, :first_token] = -math.inf
    tokens = allowed.sort(dim=1, descending=True, stable=True).indices[:, :count]
    return log_probabilities.gather(1, tokens), tokens


def random_logits(rows: int, vocab_size: int, is_tied: bool) -> Tensor:
    generator = torch.Generator().manual_seed(vocab_size)
    logits = torch.randn(rows, vocab_size, generator=generator) * 3
    logits = logits.round() if is_tied else logits
    logits[:3, -5:] = 12.0  # the best may lie at the very end, and be equal
    return logits


@pytest.mark.parametrize("first_token", [0, 2, 3])
@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize(
    ("vocab_size", "count"),
    [(10, 1), (10, 2), (10, 9), (10, 10), (1536, 5), (1537, 6), (1551, 5), (8000, 5), (8001, 7)],
)
def test_they_are_those_of_a_full_sort(vocab_size: int, count: int, is_tied: bool, first_token: int) -> None:
    logits = random_logits(40, vocab_size, is_tied)
    expected, expected_tokens = sorted_tokens(logits, count, first_token)
    values, tokens = top_tokens(logits.clone(), count, first_token=first_token)
    assert torch.equal(tokens, expected_tokens)
    torch.testing.assert_close(values, expected, atol=1e-5, rtol=1e-6)


def test_logits_that_require_gradients_are_left_as_they_are() -> None:
    logits = random_logits(4, 50, is_tied=False)
    given = logits.clone().requires_grad_()
    for found, expected in zip(top_tokens(given, 3), sorted_tokens(logits, 3, 0), strict=True):
        torch.testing.assert_close(found.detach(), expected)
    assert torch.equal(given, logits)


@pytest.mark.parametrize(("rows", "vocab_size"), [(1, 10), (1, 8001), (5, 6000), (33, 1000), (320, 257)])
def test_log_probabilities_in_the_memory_of_the_logits_have_the_same_bits(rows: int, vocab_size: int) -> None:
    logits = random_logits(rows, vocab_size, is_tied=False)
    expected = logits.log_softmax(dim=1).sort(dim=1, descending=True, stable=True)
    given = logits.clone()
    for each, is_overwritten in ((given, True), (logits.t().contiguous().t(), rows == 1)):
        before = each.clone()
        values, tokens = top_tokens(each, 7)
        assert torch.equal(values, expected.values[:, :7]) and torch.equal(tokens, expected.indices[:, :7])
        assert torch.equal(each, before) != is_overwritten


@pytest.mark.parametrize(("vocab_size", "count"), [(100, 6), (8000, 10), (8000, 1), (9, 9)])
def test_rows_are_never_sorted_in_full_for_a_tie(monkeypatch: pytest.MonkeyPatch, vocab_size: int, count: int) -> None:
    """With bfloat16 logits, whose ties are frequent, and rows of one value."""
    logits = (random_logits(40, vocab_size, is_tied=False) - 4).bfloat16()
    logits[5] = 1.0
    logits[6, 1:] = -math.inf
    expected = logits.log_softmax(dim=1, dtype=torch.float32).sort(dim=1, descending=True, stable=True)
    assert (expected.values[:, 1:] == expected.values[:, :-1]).any(1).sum() >= 5
    sort, widths = Tensor.sort, []
    monkeypatch.setattr(Tensor, "sort", lambda x, **options: widths.append(x.shape[1]) or sort(x, **options))
    values, tokens = top_tokens(logits, count)
    assert torch.equal(tokens, expected.indices[:, :count]) and torch.equal(values, expected.values[:, :count])
    assert widths and max(widths) <= count + 1


@pytest.mark.parametrize("first_token", [0, 3])
@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize(("vocab_size", "count"), [(10, 10), (16, 1), (33, 5), (100, 6), (64, 3)])
def test_triton_finds_the_same(
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    vocab_size: int,
    count: int,
    is_tied: bool,
    first_token: int,
) -> None:
    """In chunks so small that rows have one, several, and a last one that is not full."""
    module = importlib.import_module("translator.kernels.triton_top_tokens")
    monkeypatch.setattr(module, "_CHUNK", 32)
    wide = random_logits(3, vocab_size + 7, is_tied).to(device)
    logits = wide[:, :vocab_size]  # rows that do not lie side by side
    expected, expected_tokens = sorted_tokens(logits.cpu(), count, first_token)
    values, tokens = module.triton_top_tokens(logits, count, first_token)
    assert torch.equal(tokens.cpu(), expected_tokens)
    torch.testing.assert_close(values.cpu(), expected, atol=1e-5, rtol=1e-6)


def test_triton_supports_infinite_logits_and_propagates_nan(device: torch.device) -> None:
    module = importlib.import_module("translator.kernels.triton_top_tokens")
    logits = torch.zeros(5, 20, device=device)
    logits[4] = math.nan
    logits[0, 5:] = -math.inf  # fewer possible tokens than are asked for
    logits[1, 7], logits[2, 7] = math.nan, math.inf
    values, tokens = module.triton_top_tokens(logits, 6, 3)
    expected, expected_tokens = sorted_tokens(logits[[0, 3]].cpu(), 6, 3)
    assert torch.equal(tokens[[0, 3]].cpu(), expected_tokens)
    torch.testing.assert_close(values[[0, 3]].cpu(), expected)
    assert values[[1, 4]].isnan().all() and values[2, 0].isnan()
    assert ((tokens >= 0) & (tokens < 20)).all()


def test_the_operator_is_well_formed(device: torch.device) -> None:
    module = importlib.import_module("translator.kernels.triton_top_tokens")
    torch.library.opcheck(module.triton_top_tokens, (torch.randn(2, 40, device=device), 3, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("count", [1, 5, 64, 65])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_they_are_those_of_a_full_sort_at_real_sizes(dtype: torch.dtype, count: int) -> None:
    logits = random_logits(1024, 32_000, is_tied=False).to("cuda", dtype)
    expected, expected_tokens = sorted_tokens(logits.float(), count, 2)
    values, tokens = top_tokens(logits.clone(), count, first_token=2)
    torch.testing.assert_close(values, expected, atol=1e-4, rtol=1e-4)
    if count <= 64:  # in Triton, by logits; plain torch sorts what rounding may have made equal
        assert torch.equal(tokens, expected_tokens)


@pytest.mark.parametrize("count", [0, 11])
def test_more_tokens_than_there_are_or_none_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"count must be at least 1 and at most vocab_size, 10. Received: {count}."):
        top_tokens(torch.zeros(2, 10), count)


@pytest.mark.parametrize("first_token", [0, 3])
def test_forbidden_tokens_are_skipped_and_the_others_keep_their_log_probability(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, first_token: int
) -> None:
    logits = random_logits(5, 100, is_tied=False)
    forbidden = torch.randint(0, 100, (5, 30), generator=torch.Generator().manual_seed(1))
    forbidden[:, 0] = 99  # the best of some rows
    expected = logits.log_softmax(dim=1).scatter(1, forbidden, -math.inf)
    expected[:, :first_token] = -math.inf
    expected, expected_tokens = expected.sort(dim=1, descending=True, stable=True)
    found = [top_tokens(logits.clone(), 6, first_token=first_token, forbidden=forbidden)]
    if importlib.util.find_spec("triton") is not None:  # its kernel normalizes what is allowed
        module = importlib.import_module("translator.kernels.triton_top_tokens")
        found.append(module.triton_allowed_tokens(logits.to(device), 6, first_token, forbidden.to(device)))
    for values, tokens in found:
        assert torch.equal(tokens.cpu(), expected_tokens[:, :6])
        torch.testing.assert_close(values.cpu(), expected[:, :6], atol=1e-5, rtol=1e-6)
