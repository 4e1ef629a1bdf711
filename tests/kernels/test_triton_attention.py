"""Attention in Triton against float64: in the interpreter on the CPU, the real thing where there is a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from triton_cases import PADDING, Attention, assert_as_exact_as_naive

from translator.config import ModelConfig
from translator.data.batch import Batch, Capacity
from translator.data.objectives import MaskedLanguageModeling, Objective, Translation
from translator.data.store import Ragged
from translator.kernels import packed_attention
from translator.kernels.counter_dropout import kept_weights
from translator.model import build_model
from translator.packing import Packed, cu_seqlens_of

# In float32 sequences of up to 16 and 32 tokens take the short path and longer ones the long path, in tiles of 32.
ACROSS_CLASSES = [1, 16, 17, 32, 33, 2, 65]
CASES = {
    "self, every class": (ACROSS_CLASSES, None),
    "cross, fewer queries": ([3, 1, 14, 20, 2], [9, 40, 16, 33, 70]),
    "cross, more queries": ([9, 40, 16, 33, 70], [3, 1, 14, 20, 2]),
    "zero lengths": ([0, 4, 0, 0, 40, 6, 35, 0], [0, 4, 3, 0, 0, 0, 8, 50]),
    "no keys at all": ([3, 2], [0, 0]),
    "no queries at all": ([0, 0], [3, 2]),
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_output_and_gradients_are_as_exact_as_the_plain_formula(device: torch.device, name: str, causal: bool) -> None:
    assert_as_exact_as_naive(Attention.random(*CASES[name], causal=causal, device=device))


@pytest.mark.parametrize("head_dim", [8, 24, 64, 80, 128])
def test_head_dimensions_of_any_size_are_supported(device: torch.device, head_dim: int) -> None:
    lengths = ([5, 20, 34], [7, 18, 3])
    assert_as_exact_as_naive(Attention.random(*lengths, heads=1, head_dim=head_dim, device=device))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_exact_as_the_plain_formula(device: torch.device, dtype: torch.dtype) -> None:
    lengths = [9, 30, 60, 100, 140]  # each class of sixteen bits, and the long path
    case = Attention.random(lengths, causal=True, heads=1, dropout_p=0.2, dtype=dtype, device=device)
    assert_as_exact_as_naive(case)


@pytest.mark.parametrize("causal", [False, True])
def test_dropout_masks_equal_those_of_plain_torch_forward_and_backward(device: torch.device, causal: bool) -> None:
    case = Attention.random([7, 30, 2, 70], [12, 25, 0, 45], causal=causal, dropout_p=0.3, device=device)
    assert_as_exact_as_naive(case, seed=2**40 + 12345)


@pytest.mark.parametrize("lengths", [[10, 16], [32, 20], [40, 64]])
def test_the_mask_of_the_kernel_equals_that_of_plain_torch(device: torch.device, lengths: list[int]) -> None:
    """With equal scores and one-hot values the output is the weights: 1 / (length (1 - p)) where kept."""
    seeds = torch.arange(len(lengths), device=device) - 2**50 - 17
    zeros = torch.zeros(sum(lengths), 2, 64, device=device)
    values = torch.cat([torch.eye(length, 64) for length in lengths])[:, None].repeat(1, 2, 1).to(device)
    offsets = cu_seqlens_of(torch.tensor(lengths)).to(device)
    out = packed_attention(
        [zeros, zeros, values], offsets, offsets, 64, 64, causal=False, dropout_p=0.4, seeds=seeds, backend="triton"
    )
    for sequence, (rows, length) in enumerate(zip(out.split(lengths), lengths, strict=True)):
        weights = rows[:, :, :length].transpose(0, 1) * length * 0.6  # (heads, length, length)
        kept = kept_weights(seeds[sequence : sequence + 1], 2, length, length, 0.4)
        torch.testing.assert_close(weights, kept.float())


def test_dropout_does_not_depend_on_the_offset_or_on_other_sequences(device: torch.device) -> None:
    second = Attention.random([12], dropout_p=0.5, device=device).part(0, 1)

    def beside(first: int) -> Tensor:
        other = Attention.random([first], dropout_p=0.5, device=device, seed=1).part(0, 1)
        rows = [torch.cat([getattr(other, name), getattr(second, name)]) for name in ("q", "k", "v", "grad_out")]
        return Attention(*rows, [first, 12], [first, 12], False, 0.5).results()[0][-12:]

    assert torch.equal(beside(3), beside(40))
    assert torch.equal(beside(3), second.results(seed=8)[0])  # the seeds of `results` rise by one per sequence


def results_of(case: Attention, sequence: int, results: list[Tensor]) -> list[Tensor]:
    """The rows of one sequence in each of `results`."""
    lengths = (case.lengths_q, case.lengths_q, case.lengths_k, case.lengths_k)
    return [x[sum(each[:sequence]) : sum(each[: sequence + 1])] for x, each in zip(results, lengths, strict=True)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("causal", [False, True])
def test_a_sequence_gives_the_same_bits_alone_and_beside_others(
    device: torch.device, dtype: torch.dtype, causal: bool
) -> None:
    lengths = ([5, 17, 33, 1, 66, 16], [5, 17, 33, 20, 66, 70])
    case = Attention.random(*lengths, causal=causal, heads=1, dtype=dtype, device=device)
    together = case.results()
    for sequence in range(len(lengths[0])):
        alone = case.part(sequence, sequence + 1).results()
        for mine, batched in zip(alone, results_of(case, sequence, together), strict=True):
            assert torch.equal(mine, batched)


def test_bounds_looser_than_the_longest_sequence_change_no_bit(device: torch.device) -> None:
    case = Attention.random([5, 17], causal=True, heads=1, dropout_p=0.1, device=device)
    for tight, loose in zip(case.results(), case.results(looser=100), strict=True):
        assert torch.equal(tight, loose)


def test_repeated_runs_give_the_same_bits(device: torch.device) -> None:
    case = Attention.random([5, 20, 40], causal=True, dropout_p=0.1, device=device)
    for first, second in zip(case.results(), case.results(), strict=True):
        assert torch.equal(first, second)


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Tensor]]:
    """Every result is made inside a larger buffer, all of it 777, which the kernels must leave so around the result."""
    triton_attention = pytest.importorskip("translator.kernels.triton_attention")
    buffers: list[Tensor] = []

    def inside_a_larger_buffer(x: Tensor) -> Tensor:
        padding = 64 * x[0].numel()
        buffer = torch.full((x.numel() + 2 * padding,), 777.0, dtype=x.dtype, device=x.device)
        buffers.append(buffer)
        return buffer[padding : padding + x.numel()].view(x.shape)

    monkeypatch.setattr(triton_attention, "_empty_like", inside_a_larger_buffer)
    yield buffers


@pytest.mark.parametrize("name", ["self, every class", "zero lengths", "no keys at all", "no queries at all"])
def test_every_row_is_written_and_nothing_outside_the_output(
    device: torch.device, canaries: list[Tensor], name: str
) -> None:
    case = Attention.random(*CASES[name], causal=True, device=device)
    q, k, v = (x.clone() for x in (case.q, case.k, case.v))
    for x in (q, k, v):
        x[-PADDING:] = torch.nan  # padding must not be read
    attention = pytest.importorskip("translator.kernels.triton_attention")
    bounds = (*case.offsets(), max(case.lengths_q), max(case.lengths_k), True, 0.25, 0.0, None)
    projections = [q[:, None], torch.stack((k, v), dim=1)]
    out, log_sum = attention.triton_attention(projections, *bounds)
    grads = attention.triton_attention_backward(case.grad_out, out, log_sum, projections, *bounds)
    assert len(canaries) == 3
    for result, buffer in zip((out, *grads), canaries, strict=True):
        padding = (buffer.numel() - result.numel()) // 2
        assert (buffer[:padding] == 777).all() and (buffer[-padding:] == 777).all()
        assert result.isfinite().all() and not (result == 777).any()
        assert not result[-PADDING:].any()


@pytest.mark.parametrize("bound", [0, 16, 30])
def test_sequences_beyond_the_bounds_give_zeros(device: torch.device, canaries: list[Tensor], bound: int) -> None:
    """If no launch includes their class; outputs and gradients of the others are as with the right bounds."""
    lengths = [5, 40, 12, 70, 33]
    case = Attention.random(lengths, causal=True, device=device)
    attention = pytest.importorskip("translator.kernels.triton_attention")
    results = []
    for limit in (bound, 70):
        bounds = (*case.offsets(), limit, limit, True, 0.25, 0.0, None)
        projections = [case.joint()]
        out, log_sum = attention.triton_attention(projections, *bounds)
        grads = attention.triton_attention_backward(case.grad_out, out, log_sum, projections, *bounds)
        results.append([x.split([*lengths, PADDING]) for x in (out, *grads)])
    for ours, right in zip(*results, strict=True):
        for length, mine, expected in zip([*lengths, PADDING], ours, right, strict=True):
            assert torch.equal(mine, expected if length <= 16 else torch.zeros_like(mine))


@pytest.mark.parametrize(("max_seqlen", "forward", "backward"), [(10, 1, 1), (32, 2, 2), (40, 3, 4)])
def test_kernels_are_launched_for_the_classes_within_the_bounds_alone(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, max_seqlen: int, forward: int, backward: int
) -> None:
    """A launch per class of up to 16 and 32 tokens in float32, one more for the long path and two for its gradients."""
    attention = pytest.importorskip("translator.kernels.triton_attention")
    launches: list[str] = []
    for path in ("short", "long"):
        launch = getattr(attention._Call, f"launch_{path}")

        def counting(self: Any, kernel: Any, *rest: Any, launch: Any = launch, **options: Any) -> None:
            launch(self, Counted(kernel, launches), *rest, **options)

        monkeypatch.setattr(attention._Call, f"launch_{path}", counting)
    case = Attention.random([max_seqlen, 3], device=device)
    case.results()
    assert (launches.count("forward"), launches.count("backward")) == (forward, backward)


class Counted:
    """A kernel whose launches are recorded."""

    def __init__(self, kernel: Any, launches: list[str]) -> None:
        self.kernel, self.launches = kernel, launches

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        name = self.kernel.__name__ if hasattr(self.kernel, "__name__") else self.kernel.fn.__name__
        self.launches.append("backward" if "backward" in name else "forward")
        return self.kernel[grid]


@pytest.mark.parametrize("lengths", [[5, 12], [40, 3]])
def test_gradients_of_a_joint_projection_are_written_in_its_layout(device: torch.device, lengths: list[int]) -> None:
    """Without a copy of each part: the gradient is the tensor that the kernels write."""
    case = Attention.random(lengths, causal=True, device=device)
    expected = case.results()
    joint = case.joint().requires_grad_()
    bounds = (*case.offsets(), max(lengths), max(lengths))
    out = packed_attention([joint], *bounds, causal=True, backend="triton")
    assert torch.equal(out, expected[0])
    assert out.grad_fn is not None and out.grad_fn.next_functions[0][0].variable is joint  # no operation in between
    (grad,) = torch.autograd.grad(out, joint, case.grad_out)
    assert torch.equal(grad, torch.stack(expected[1:], dim=1))


def test_a_batch_of_empty_sequences_gives_zeros(device: torch.device) -> None:
    case = Attention.random([0, 0, 0], device=device)
    assert not any(result.any() for result in case.results())


def test_an_upstream_gradient_in_any_layout_is_supported(device: torch.device) -> None:
    case = Attention.random([5, 40], device=device)
    q = case.q.detach().requires_grad_()
    out = packed_attention([q, case.k, case.v], *case.offsets(), 40, 40, causal=False, backend="triton")
    (expected,) = torch.autograd.grad(out, q, torch.ones_like(out), retain_graph=True)
    (expanded,) = torch.autograd.grad(out.sum(), q)  # its gradient has stride 0 everywhere
    assert torch.equal(expected, expanded)


def test_offsets_need_not_be_contiguous(device: torch.device) -> None:
    case = Attention.random([5, 20], device=device)
    offsets = case.offsets()
    apart = [torch.stack((x, x + 1), dim=1)[:, 0] for x in offsets]
    together, spread = (
        packed_attention([case.q, case.k, case.v], *pair, 20, 20, causal=True, backend="triton")
        for pair in (offsets, apart)
    )
    assert torch.equal(together, spread)


@pytest.mark.parametrize(("lengths", "dropout_p"), [([20, 12], 0.0), ([40], 0.2)])
def test_the_operators_are_well_formed(device: torch.device, lengths: list[int], dropout_p: float) -> None:
    attention = pytest.importorskip("translator.kernels.triton_attention")
    case = Attention.random(lengths, dropout_p=dropout_p, device=device).part(0, len(lengths))
    seeds = torch.arange(len(lengths), device=device) if dropout_p else None
    options = (*case.offsets(), max(lengths), max(lengths), True, 0.3, dropout_p, seeds)
    for projections in ((case.q[:, None], torch.stack((case.k, case.v), dim=1)), (case.joint(),)):
        leaves = [x.detach().clone().requires_grad_() for x in projections]
        torch.library.opcheck(attention.triton_attention, (leaves, *options))
        leaves = [x.detach() for x in leaves]
        out, log_sum = attention.triton_attention(leaves, *options)
        for grad_out in (case.grad_out, torch.ones_like(out[:1]).expand_as(out)):
            torch.library.opcheck(attention.triton_attention_backward, (grad_out, out, log_sum, leaves, *options))


def test_the_operator_compiles_without_a_graph_break(device: torch.device) -> None:
    case = Attention.random([7, 3, 8], causal=True, dropout_p=0.2, device=device)
    seeds = torch.tensor([3, 4, 5], device=device)

    def attend(q: Tensor, seeds: Tensor) -> Tensor:
        attended = packed_attention(
            [q * 2, case.k, case.v], *case.offsets(), 8, 8, causal=True, dropout_p=0.2, seeds=seeds, backend="triton"
        )
        return attended.relu().sum()

    def gradient(run: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        q = case.q.detach().requires_grad_()
        return torch.autograd.grad(run(q, seeds), q)[0]

    compiled = torch.compile(attend, backend="aot_eager", fullgraph=True)
    assert torch.equal(gradient(compiled), gradient(attend))
    assert compiled(case.q, seeds) != compiled(case.q, seeds + 1)  # the seeds are read, not frozen into the graph


def test_a_whole_model_compiles_in_one_graph_and_agrees_with_the_reference(device: torch.device) -> None:
    sizes = {
        "d_model": 32,
        "d_ff": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_heads": 2,
        "decoder_heads": 1,
    }
    sentences = Packed.from_sequences([[5, 6, 7, 8, 2], [9, 2]]).to(device)
    labels = torch.tensor([6, 7, 8, 2, -100, 2, 3], device=device)

    def loss_and_gradient(backend: str, is_compiled: bool) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        config = ModelConfig(**sizes, dropout=0.0, attention_dropout=0.2, positions="rotary", attention=backend)
        model = build_model(config, 12, 12, 0.1).to(device).train()
        loss = torch.compile(model.loss, backend="aot_eager", fullgraph=True) if is_compiled else model.loss
        batch = SimpleNamespace(source=sentences, target_input=sentences, labels=labels, links=None)
        total, _ = loss(batch, torch.tensor([1, 2], device=device))
        total.backward()
        return total.detach(), model.target_embedding.weight.grad

    expected = loss_and_gradient("reference", False)
    for is_compiled in (False, True):
        for mine, right in zip(loss_and_gradient("triton", is_compiled), expected, strict=True):
            torch.testing.assert_close(mine, right, atol=1e-5, rtol=1e-5)


def static_batch(index: int, objective: Objective, sources: list[list[int]], targets: list[list[int]]) -> Batch:
    """As the trainer makes them on CUDA: filled up to one size, and bounded by the longest sequence there may be."""
    capacity = Capacity(source_tokens=16, target_tokens=14, sequences=4, max_seqlen=20)
    return objective.pack(index, *(Ragged.of_rows(rows, np.int32) for rows in (sources, targets))).padded(capacity)


ONE_GRAPH = {
    "encoder_decoder": Translation(),
    "decoder_only": Translation(is_joined=True),
    "encoder_only": MaskedLanguageModeling(0.15, mask=4, vocab_size=12),
}


@pytest.mark.parametrize("architecture", ONE_GRAPH)
def test_one_graph_serves_all_batches_of_one_size(device: torch.device, architecture: str) -> None:
    """Forward and backward, with every kind of dropout: no graph break, and nothing is compiled again."""
    sizes = {"d_model": 16, "d_ff": 16, "encoder_layers": 1, "decoder_layers": 1}
    options = {"encoder_heads": 1, "decoder_heads": 1, "positions": "rotary", "attention": "triton"}
    dropout = {"dropout": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.1}
    torch.manual_seed(0)
    config = ModelConfig(**sizes, **options, **dropout, architecture=architecture)
    model = build_model(config, 12, 12, 0.1).to(device).train()
    torch._dynamo.reset()
    loss = torch.compile(model.loss, backend="aot_eager", fullgraph=True, dynamic=False)
    masked = architecture == "encoder_only"
    with torch._dynamo.config.patch(error_on_recompile=True):
        for index, (sources, targets) in enumerate(
            (([[5, 6, 7], [8]], [[9, 5], [6, 7, 8, 9]]), ([[7], [5, 6], [8]], [[5], [6], [9, 8]]))
        ):
            labels = [[-100] * (len(source) - 1) + [source[-1]] for source in sources]
            batch = static_batch(index, ONE_GRAPH[architecture], sources, labels if masked else targets).to(device)
            total, count = loss(batch, torch.arange(4, device=device) + index)
            model.zero_grad()
            total.backward()
            assert total.isfinite() and count == batch.num_target_tokens
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name
