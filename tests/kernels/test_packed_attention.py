"""`packed_attention`: what every backend promises, whichever serves, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from attention_cases import CASES, attend, attention_inputs, with_gradients
from torch import Tensor

from translator.kernels import BACKENDS, packed_attention

CPU_BACKENDS = ["grouped", "sdpa", "reference"]
both_directions = pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
every_backend = pytest.mark.parametrize("backend", CPU_BACKENDS)
every_case = pytest.mark.parametrize("case", CASES)


@every_case
@both_directions
@pytest.mark.parametrize("backend", ["grouped", "sdpa"])
@pytest.mark.parametrize("padding", [0, 3])
def test_output_and_gradients_agree_with_the_reference(backend: str, causal: bool, case: str, padding: int) -> None:
    inputs = attention_inputs(*CASES[case], padding=padding)
    out, gradients = with_gradients(lambda *x: attend(backend, causal, x, scale=0.4), inputs, torch.float64)
    expected, expected_gradients = with_gradients(
        lambda *x: attend("reference", causal, x, scale=0.4), inputs, torch.float64
    )
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(gradients, expected_gradients)


@both_directions
@pytest.mark.parametrize("case", ["one sentence", "odd lengths", "cross, fewer queries", "zero lengths"])
def test_the_error_in_float32_is_at_most_twice_the_naive_one(causal: bool, case: str) -> None:
    inputs = attention_inputs(*CASES[case], heads=4, head_dim=32)
    exact, exact_gradients = with_gradients(lambda *x: attend("reference", causal, x), inputs, torch.float64)
    naive, naive_gradients = with_gradients(lambda *x: attend("reference", causal, x), inputs, torch.float32)
    # torch's own flash kernel, behind `sdpa` on the CPU, errs up to four times as much: it is held to no such promise
    out, gradients = with_gradients(lambda *x: attend("grouped", causal, x), inputs, torch.float32)

    def error(x: Tensor, truth: Tensor) -> float:
        return (x.double() - truth).abs().max().item()

    assert error(out, exact) <= 2 * error(naive, exact) + 1e-7
    for gradient, naive_gradient, truth in zip(gradients, naive_gradients, exact_gradients, strict=True):
        assert error(gradient, truth) <= 3 * error(naive_gradient, truth) + 1e-7


@every_backend
@both_directions
def test_results_are_zero_for_trailing_padding_and_queries_without_keys(backend: str, causal: bool) -> None:
    # sequence 0 has no key; with causal, the first two queries of sequence 1 see none either
    inputs = attention_inputs([2, 5], [0, 3], padding=4, dtype=torch.float32)
    out, (grad_q, grad_k, grad_v) = with_gradients(lambda *x: attend(backend, causal, x), inputs, torch.float32)
    blind = [0, 1, 7, 8, 9, 10] + ([2, 3] if causal else [])
    assert not out[blind].any() and not grad_q[blind].any()
    assert not grad_k[3:].any() and not grad_v[3:].any()
    seeing = [row for row in range(7) if row not in blind]
    assert out[seeing].abs().min() > 0


@every_backend
@both_directions
def test_queries_and_keys_may_differ_in_trailing_padding(backend: str, causal: bool) -> None:
    q, k, v, *offsets = attention_inputs([2, 3], [2, 3], padding=2)
    expected = with_gradients(lambda *x: attend(backend, causal, x), (q[:5], k, v, *offsets), torch.float64)
    inputs = (q[:5], k[:5], v[:5], *offsets)
    out, gradients = with_gradients(lambda *x: attend(backend, causal, x), inputs, torch.float64)
    assert torch.equal(expected[0], out)
    for padded, gradient in zip(expected[1], gradients, strict=True):
        assert torch.equal(padded[:5], gradient) and not padded[5:].any()


@every_backend
def test_values_in_trailing_padding_do_not_change_the_output(backend: str) -> None:
    q, k, v, *offsets = attention_inputs([3, 2], [4, 1], padding=2, dtype=torch.float32)
    expected = attend(backend, False, (q, k, v, *offsets))
    for x in (q, k, v):
        x[-2:] = 1e30
    assert torch.equal(attend(backend, False, (q, k, v, *offsets)), expected)


@every_backend
@both_directions
def test_other_sequences_do_not_change_a_sequence(backend: str, causal: bool) -> None:
    q, k, v, *offsets = attention_inputs([7], [9], dtype=torch.float32)
    alone = attend(backend, causal, (q, k, v, *offsets))
    for before, after in (([3], []), ([1, 30, 7], [7, 8, 9]), ([7] * 10, [60])):
        lengths_q, lengths_k = [*before, 7, *after], [*before, 9, *after]
        crowd = attention_inputs(lengths_q, lengths_k, dtype=torch.float32)
        rows, keys = slice(sum(before), sum(before) + 7), slice(sum(before), sum(before) + 9)
        crowd[0][rows], crowd[1][keys], crowd[2][keys] = q, k, v
        torch.testing.assert_close(attend(backend, causal, crowd)[rows], alone, rtol=1e-5, atol=1e-6)


@every_backend
@both_directions
def test_a_causal_query_does_not_attend_to_later_keys(backend: str, causal: bool) -> None:
    q, k, v, *offsets = attention_inputs([6, 4], [6, 4], dtype=torch.float32)
    before = attend(backend, causal, (q, k, v, *offsets))
    k[5], v[5] = 3.0, 3.0
    unchanged = (attend(backend, causal, (q, k, v, *offsets)) == before).flatten(1).all(dim=1).tolist()
    assert unchanged == [causal] * 5 + [False] + [True] * 4


@every_backend
def test_bounds_looser_than_the_longest_sequence_change_nothing(backend: str) -> None:
    inputs = attention_inputs([4, 2], [3, 5])
    loose = packed_attention(inputs[:3], *inputs[3:], 50, 60, causal=True, backend=backend)
    torch.testing.assert_close(loose, attend(backend, True, inputs))


@every_backend
def test_views_that_are_not_contiguous_are_supported(backend: str) -> None:
    q, k, v, *offsets = attention_inputs([4, 2], [3, 5])
    joined = torch.stack((k, v))  # (2, num_tokens, heads, head_dim)
    strided = (q.transpose(0, 1).contiguous().transpose(0, 1), *joined.transpose(0, 1).contiguous().unbind(1))
    assert not any(x.is_contiguous() for x in strided)
    torch.testing.assert_close(
        attend(backend, False, (*strided, *offsets)), attend(backend, False, (q, k, v, *offsets))
    )


@every_backend
def test_repeated_runs_are_bit_identical(backend: str) -> None:
    inputs = attention_inputs(*CASES["odd lengths"], dtype=torch.float32)
    first, again = (with_gradients(lambda *x: attend(backend, True, x), inputs, torch.float32) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(a, b) for a, b in zip(first[1], again[1], strict=True))


@pytest.mark.parametrize("backend", ["grouped", "reference"])
def test_dropout_is_a_function_of_its_seeds(backend: str) -> None:
    inputs = attention_inputs(*CASES["odd lengths"], dtype=torch.float32)

    def drop(seed: int) -> tuple[Tensor, list[Tensor]]:
        options = {"dropout_p": 0.4, "seeds": torch.arange(len(inputs[3]) - 1) + seed}
        return with_gradients(lambda *x: attend(backend, True, x, **options), inputs, torch.float32)

    (first, first_gradients), (again, again_gradients), (other, _) = drop(3), drop(3), drop(2**62)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert all(torch.equal(a, b) for a, b in zip(first_gradients, again_gradients, strict=True))


@every_backend
def test_dropout_preserves_the_expectation(backend: str) -> None:
    torch.manual_seed(0)
    q, k, v, *offsets = attention_inputs([20] * 30, [20] * 30, dtype=torch.float32)
    ones = torch.ones_like(v)  # without dropout each output is exactly one
    out = attend(backend, False, (q * 0, k, ones, *offsets), dropout_p=0.25, seeds=torch.arange(30))
    # a mean of 20 weights that are 0 or 4/3 of 1/20 each
    assert out.mean().item() == pytest.approx(1.0, abs=0.01)
    kept_share = (out[:, :, 0] * 20 * 0.75).round().mean().item() / 20
    assert kept_share == pytest.approx(0.75, abs=0.01)


def test_dropout_of_zero_needs_no_seeds_and_changes_nothing() -> None:
    inputs = attention_inputs([4], [4])
    assert torch.equal(attend("grouped", True, inputs, dropout_p=0.0), attend("grouped", True, inputs))


def test_auto_selects_grouped_on_the_cpu() -> None:
    inputs = attention_inputs(*CASES["odd lengths"], dtype=torch.float32)
    assert torch.equal(attend("auto", True, inputs), attend("grouped", True, inputs))


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("parts", [(3,), (1, 2), (2, 1), (1, 1, 1)])
@pytest.mark.parametrize("is_slice", [False, True])
def test_joint_projections_give_the_results_of_separate_ones(
    backend: str, parts: tuple[int, ...], is_slice: bool
) -> None:
    lengths = CASES["odd lengths"][0]
    q, k, v, *offsets = attention_inputs(lengths, lengths, padding=2)
    bounds, options = (max(lengths), max(lengths)), {"causal": True, "backend": backend}
    parted = torch.stack((q, k, v), dim=1).split(parts, dim=1)
    leaves = [torch.cat((x, x), dim=1)[:, : x.shape[1]] if is_slice else x.contiguous() for x in parted]
    leaves = [x.detach().requires_grad_() for x in leaves]
    out = packed_attention(leaves, *offsets, *bounds, **options)
    upstream = torch.randn_like(out)
    gradients = torch.cat(torch.autograd.grad(out, leaves, upstream), dim=1)
    separate = [x.requires_grad_() for x in (q, k, v)]
    expected = packed_attention(separate, *offsets, *bounds, **options)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(gradients, torch.stack(torch.autograd.grad(expected, separate, upstream), dim=1))


def wrong_arguments() -> dict[str, tuple[dict[str, Any], str]]:
    offsets = torch.tensor([0, 3], dtype=torch.int32)
    return {
        "backend": ({"backend": "flash"}, f"backend must be one of {', '.join(BACKENDS)}. Received: 'flash'."),
        "rank": (
            {"q": torch.randn(3, 8)},
            r"each \(num_tokens, heads, head_dim\) or .* Received: \(3, 8\), \(3, 2, 8\), \(3, 2, 8\)\.",
        ),
        "parts": (
            {"q": torch.randn(3, 2, 2, 8)},
            r"projections must hold queries, keys and values.* Received: \(3, 2, 2, 8\), \(3, 2, 8\), \(3, 2, 8\)\.",
        ),
        "values": ({"v": torch.randn(2, 2, 8)}, r"k and v alike.* Received: .* k \(3, 2, 8\), v \(2, 2, 8\)"),
        "heads": ({"q": torch.randn(3, 4, 8)}, r"heads and head_dim shared"),
        "dtypes": ({"q": torch.randn(3, 2, 8).double()}, "Received: float64, float32, float32."),
        "integers": (
            {name: torch.ones(3, 2, 8, dtype=torch.int64) for name in "qkv"},
            "one floating-point dtype. Received: int64, int64, int64.",
        ),
        "devices": ({"q": torch.randn(3, 2, 8, device="meta")}, "on one device. Received: meta, cpu, cpu, cpu, cpu."),
        "offsets": ({"cu_seqlens_k": offsets.long()}, "cu_seqlens must be int32. Received: int32 and int64."),
        "sequences": (
            {"cu_seqlens_q": torch.tensor([0, 1, 3], dtype=torch.int32)},
            r"must be \(num_sequences \+ 1,\). Received: \(3,\) and \(2,\).",
        ),
        "no seeds": ({"dropout_p": 0.1}, "dropout requires seeds. Received: dropout_p=0.1, seeds=None."),
        "seeds": (
            {"dropout_p": 0.1, "seeds": torch.tensor([1, 2])},
            r"seeds must be \(1,\) int64, one per sequence. Received: \(2,\) int64.",
        ),
        "grouped": (
            {name: torch.randn(3, 2, 8, device="meta") for name in "qkv"}
            | {name: offsets.to("meta") for name in ("cu_seqlens_q", "cu_seqlens_k")}
            | {"backend": "grouped"},
            "backend grouped serves the CPU. Received: tensors on meta. Use auto or sdpa.",
        ),
    }


@pytest.mark.parametrize("what", wrong_arguments())
def test_invalid_arguments_are_refused(what: str) -> None:
    changes, expected = wrong_arguments()[what]
    offsets = torch.tensor([0, 3], dtype=torch.int32)
    arguments = {name: torch.randn(3, 2, 8) for name in "qkv"} | {"cu_seqlens_q": offsets, "cu_seqlens_k": offsets}
    options = {"max_seqlen_q": 3, "max_seqlen_k": 3, "causal": False}
    given = arguments | options | changes
    projections = [given.pop(name) for name in "qkv"]
    with pytest.raises(ValueError, match=expected):
        packed_attention(projections, **given)
