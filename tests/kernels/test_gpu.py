"""The kernels on a GPU: at real sizes, against races, inside CUDA graphs and compiled models."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from triton_cases import Attention, assert_as_exact_as_naive

from translator.config import DecodingOptions, ModelConfig, TrainingConfig
from translator.decoding.request import Request
from translator.decoding.search import search
from translator.kernels import decode_attention, linear_cross_entropy, packed_attention, reference, relu_linear
from translator.model import build_model
from translator.model.encoder_decoder import EncoderDecoder
from translator.model.static_decoding import StaticDecoder
from translator.packing import Packed, cu_seqlens_of
from translator.training.forward_backward import ForwardBackward
from translator.training.optimizer import build_optimizer
from translator.training.parallel import scale_and_clip

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

RUNS = 200


def sentence_lengths(num_tokens: int, seed: int = 0) -> list[int]:
    """Lengths like those of a corpus: lognormal, mean 27, one in twenty above 60."""
    generator = torch.Generator().manual_seed(seed)
    lengths: list[int] = []
    while sum(lengths) < num_tokens:
        draw = torch.randn((), generator=generator).mul(0.59).add(math.log(22.7)).exp()
        lengths.append(int(draw.clamp(1, 250)))
    return lengths


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dropout_p", [0.0, 0.1])
def test_a_real_batch_is_as_exact_as_the_plain_formula(dtype: torch.dtype, causal: bool, dropout_p: float) -> None:
    lengths = sentence_lengths(8000)
    case = Attention.random(
        lengths, causal=causal, heads=8, head_dim=64, dropout_p=dropout_p, dtype=dtype, device="cuda"
    )
    assert_as_exact_as_naive(case, floor=1e-6 if dtype == torch.float32 else 1e-3)


@pytest.mark.parametrize("head_dim", [16, 40, 64, 96, 128])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_long_sequences_are_as_exact_as_the_plain_formula(dtype: torch.dtype, head_dim: int) -> None:
    lengths = ([700, 1, 129, 20], [513, 300, 128, 1000])
    case = Attention.random(*lengths, causal=True, head_dim=head_dim, dropout_p=0.1, dtype=dtype, device="cuda")
    assert_as_exact_as_naive(case, floor=1e-6 if dtype == torch.float32 else 1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_two_hundred_runs_give_the_same_bits(dtype: torch.dtype) -> None:
    lengths = [*sentence_lengths(3000), 300, 150, 1000]
    case = Attention.random(lengths, causal=True, heads=8, head_dim=64, dropout_p=0.1, dtype=dtype, device="cuda")
    first = case.results()
    for _ in range(RUNS - 1):
        for before, now in zip(first, case.results(), strict=True):
            assert torch.equal(before, now)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("causal", [False, True])
def test_a_sequence_gives_the_same_bits_alone_and_in_a_real_batch(dtype: torch.dtype, causal: bool) -> None:
    lengths = [*sentence_lengths(2000), 200, 16, 17, 32, 33, 64, 65, 128, 129]
    case = Attention.random(lengths, causal=causal, heads=8, head_dim=64, dtype=dtype, device="cuda")
    together = case.results()
    for sequence in range(len(lengths)):
        rows = slice(sum(lengths[:sequence]), sum(lengths[: sequence + 1]))
        for alone, batched in zip(case.part(sequence, sequence + 1).results(), together, strict=True):
            assert torch.equal(alone, batched[rows])


def test_a_cuda_graph_takes_other_sentences_and_other_seeds() -> None:
    """The offsets and the seeds are read on the device: what changes them changes the result of a replay."""
    case = Attention.random([30, 5, 150], causal=True, dropout_p=0.2, dtype=torch.bfloat16, device="cuda")
    q, k, v = (x.detach().clone().requires_grad_() for x in (case.q, case.k, case.v))
    offsets, seeds = case.offsets()[0], torch.tensor([1, 2, 3], device="cuda")

    def attend() -> tuple[Tensor, ...]:
        out = packed_attention([q, k, v], offsets, offsets, 180, 180, causal=True, dropout_p=0.2, seeds=seeds)
        return out.detach(), *torch.autograd.grad(out, (q, k, v), case.grad_out)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        attend()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = attend()
    for lengths, number in ([30, 5, 150], 1), ([10, 170, 3], 9), ([0, 0, 2], 9):
        offsets.copy_(cu_seqlens_of(torch.tensor(lengths)))
        seeds.fill_(number)
        graph.replay()
        for replayed, eager in zip(captured, attend(), strict=True):
            assert torch.equal(replayed, eager)


@pytest.mark.parametrize("check", ["0", "1"])
def test_one_graph_serves_every_step_of_decoding(monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    monkeypatch.setenv("TRANSLATOR_CHECK", check)  # what a graph captures asks for nothing
    rows, heads, capacity, head_dim = 8, 8, 64, 64
    cache = torch.randn(2, capacity, rows, heads, head_dim, device="cuda", dtype=torch.bfloat16)
    q = torch.randn(rows, heads, head_dim, device="cuda", dtype=torch.bfloat16)
    length = torch.ones(1, dtype=torch.int32, device="cuda")
    ancestry = torch.arange(rows, dtype=torch.int32, device="cuda")[:, None].repeat(1, capacity)
    decode_attention(q, cache[0], cache[1], length, ancestry)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = decode_attention(q, cache[0], cache[1], length, ancestry)
    for number in (1, 2, 33, 64):
        length.fill_(number)
        ancestry.random_(rows)
        graph.replay()
        exact = reference.decode_attention(
            q.double(), cache[0].double(), cache[1].double(), length, ancestry, scale=head_dim**-0.5
        )
        torch.testing.assert_close(out.double(), exact, atol=2e-2, rtol=2e-2)


def test_the_loss_holds_one_copy_of_the_logits_at_most() -> None:
    num_tokens, vocab_size, d_model = 16384, 32000, 512
    hidden = torch.randn(num_tokens, d_model, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    weight = torch.randn(vocab_size, d_model, device="cuda", dtype=torch.bfloat16).mul_(0.05).requires_grad_()
    labels = torch.randint(vocab_size, (num_tokens,), device="cuda")
    labels[::50] = -100
    linear_cross_entropy(hidden[:8], weight, labels[:8])  # cuBLAS takes its workspace
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    loss = linear_cross_entropy(hidden, weight, labels, label_smoothing=0.1)
    gradients = torch.autograd.grad(loss, (hidden, weight))
    gradient_bytes = 2 * sum(x.numel() * x.element_size() for x in gradients)  # made, and scaled by the upstream one
    assert torch.cuda.max_memory_allocated() - before < 1.05 * (2 * num_tokens * vocab_size + gradient_bytes)

    leaves = [x.detach().float().requires_grad_() for x in (hidden, weight)]
    right = reference.linear_cross_entropy(*leaves, labels, label_smoothing=0.1, ignore_index=-100)
    assert abs(loss - right) < 1e-3 * right
    for mine, exact in zip(gradients, torch.autograd.grad(right, leaves), strict=True):
        assert (mine.float() - exact).norm() < 2e-2 * exact.norm()


def test_linear_and_relu_of_a_real_batch_are_exact_and_give_the_same_bits_twice() -> None:
    x = torch.randn(8001, 512, device="cuda", dtype=torch.bfloat16).requires_grad_()
    weight = torch.randn(2048, 512, device="cuda", dtype=torch.bfloat16).mul_(0.002).requires_grad_()
    bias = torch.randn(2048, device="cuda").sign().bfloat16().requires_grad_()  # rounding changes the sign of no sum
    keys, grad_out = torch.arange(8001, device="cuda"), torch.randn(8001, 2048, device="cuda", dtype=torch.bfloat16)
    runs = []
    for _ in range(2):
        out = relu_linear(x, weight, bias, keys, 0.1)
        runs.append([out.detach(), *torch.autograd.grad(out, (x, weight, bias), grad_out)])
    assert all(torch.equal(first, second) for first, second in zip(*runs, strict=True))
    leaves = [tensor.detach().float().requires_grad_() for tensor in (x, weight, bias)]
    right = reference.relu_linear(*leaves, keys, 0.1)
    exact = [right.detach(), *torch.autograd.grad(right, leaves, grad_out.float())]
    for mine, wanted in zip(runs[0], exact, strict=True):
        assert (mine.float() - wanted).norm() < 1e-2 * wanted.norm()


@dataclass(frozen=True)
class Batch:
    source: Packed
    target_input: Packed
    labels: Tensor


def batch_of(lengths: list[int], device: str, seed: int = 0, vocab_size: int = 500) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    sequences = [torch.randint(4, vocab_size, (length,), generator=generator) for length in lengths]
    packed = Packed.from_sequences(sequences)
    labels = torch.randint(4, vocab_size, (sum(lengths),), generator=generator)
    return Batch(packed.to(device), packed.to(device), labels.to(device))


def model_on(device: str, **options: object) -> EncoderDecoder:
    torch.manual_seed(0)
    sizes = {"d_model": 128, "d_ff": 256, "encoder_layers": 2, "decoder_layers": 2}
    heads = {"encoder_heads": 4, "decoder_heads": 4}
    return build_model(ModelConfig(**(sizes | heads | options)), 500, 500, 0.1).to(device).train()  # type: ignore[arg-type]


def trained(
    model: EncoderDecoder, loss: Callable[[Batch, Tensor], tuple[Tensor, Tensor]], device: str, steps: int
) -> list[Tensor]:
    """The weights after some steps of plain gradient descent with momentum."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for step in range(steps):
        torch.manual_seed(step)
        total, count = loss(batch_of([20, 5, 40, 13], device, seed=step), torch.arange(4, device=device) + 4 * step)
        optimizer.zero_grad()
        (total / count).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [parameter.detach().cpu() for parameter in model.parameters()]


def test_training_on_the_gpu_is_training_on_the_cpu() -> None:
    """In float32 without dropout, where only the order of sums differs: weights within 1e-4 after 20 steps."""
    there, here = (model_on(device, dropout=0.0) for device in ("cuda", "cpu"))
    for mine, right in zip(trained(there, there.loss, "cuda", 20), trained(here, here.loss, "cpu", 20), strict=True):
        torch.testing.assert_close(mine, right, atol=1e-4, rtol=1e-3)


def test_fifty_compiled_steps_with_dropout_give_the_same_bits_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        runs = []
        for _ in range(2):
            model = model_on("cuda", dropout=0.1, attention_dropout=0.1, attention="triton")
            runs.append(trained(model, torch.compile(model.loss, fullgraph=True), "cuda", 50))
        for first, second in zip(*runs, strict=True):
            assert torch.equal(first, second)
    finally:
        torch.use_deterministic_algorithms(False)


def distinct_batch(lengths: list[int], seed: int, vocab_size: int = 500) -> Batch:
    """No piece comes twice on a side, so that the gradient of no embedding depends on an order of additions."""
    generator = torch.Generator().manual_seed(seed)
    sides = [torch.randperm(vocab_size, generator=generator)[: sum(lengths)].split(lengths) for _ in range(2)]
    source, target = (Packed.from_sequences(side).to("cuda") for side in sides)
    return Batch(source, target, torch.randint(vocab_size, (sum(lengths),), generator=generator).to("cuda"))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_cuda_graphs_change_no_bit_of_compiled_steps(accumulation: int) -> None:
    """Dropout, other sentences in each micro-batch, and what a graph gave overwritten by the next call of it."""
    runs = []
    for has_graphs in (False, True):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        model = model_on("cuda", dropout=0.1, attention_dropout=0.1, attention="triton")
        options = TrainingConfig(compile=True, cuda_graphs=has_graphs, accumulation=accumulation)
        backward, optimizer = (
            ForwardBackward(model, options, torch.bfloat16, static_shapes=True),
            build_optimizer(model, options),
        )
        losses = []
        for step in range(6):
            optimizer.zero_grad()
            for number in range(accumulation):
                seed = accumulation * step + number
                torch.manual_seed(seed)
                batch = distinct_batch([[20, 5, 40, 13], [7, 40, 1, 30]][number], seed)
                loss, _ = backward(batch, number, torch.arange(4, device="cuda") + 4 * seed)
                losses.append(loss.clone())
            scale_and_clip([parameter.grad for parameter in model.parameters()], torch.tensor(0.01).cuda(), 1.0)
            optimizer.step()
        counters = torch._dynamo.utils.counters["inductor"]
        assert (counters["cudagraph_recorded_non_static_inputs"] > 0) is has_graphs, counters
        runs.append([*losses, *model.parameters()])
    for compiled, graphed in zip(*runs, strict=True):
        assert torch.equal(compiled, graphed)


def test_searches_find_the_same_in_static_memory_and_cuda_graphs() -> None:
    model = model_on("cuda").eval()
    for parameter in model.parameters():
        parameter.data.mul_(1.5)
    decoder = StaticDecoder(model)
    for seed, lengths in enumerate(([5, 12, 3], [20, 1, 7, 9, 30, 2, 2], [5, 12, 3])):
        sources = batch_of(lengths, "cuda", seed=seed).source.unpack()
        requests = [Request(tuple(source[:-1].tolist()), 40) for source in sources]
        for changes in ({"beam_size": 1}, {"beam_size": 4}, {"beam_size": 4, "no_repeat_ngram": 2}):
            options = DecodingOptions.model_validate(changes)
            ours, right = (search(each, requests, options, torch.device("cuda")) for each in (decoder, model))
            for mine, other in zip(ours, right, strict=True):
                assert mine[0].tokens == other[0].tokens
                assert abs(mine[0].score - other[0].score) < 1e-4
    assert any(decoder._graphs._graphs.values())
