"""Compile the whole loss, forward and backward, for a GPU that is not there, with every kernel that Inductor writes.

Nothing runs. Torch has no interface for this: the functions replaced below are those that ask for a device on the way
to the machine code (torch 2.13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ahead_of_time import AbsentGPU
from on_fake_cuda import CUDA, DROPOUT, MODEL, moved
from torch._dynamo.device_interface import CudaInterface
from torch._inductor.fx_passes import joint_graph, post_grad
from torch._inductor.output_code import CompiledFxGraph
from torch._inductor.runtime import triton_helpers
from torch._inductor.runtime.triton_heuristics import CachingAutotuner
from torch._subclasses.fake_tensor import FakeTensorMode
from triton.runtime import driver

from translator.config import ModelConfig
from translator.model import build_model
from translator.model.dropout import DropoutKeys
from translator.model.layers import FeedForward
from translator.packing import Packed
from translator.training.bfloat16_copy import Bfloat16Copy

H100 = SimpleNamespace(
    name="H100",
    major=9,
    minor=0,
    multi_processor_count=132,
    total_memory=80 * 2**30,
    warp_size=32,
    max_threads_per_block=1024,
    max_threads_per_multi_processor=2048,
    regs_per_multiprocessor=65536,
    L2_cache_size=50 * 2**20,
    shared_memory_per_block=49152,
    shared_memory_per_block_optin=232448,
    shared_memory_per_multiprocessor=233472,
)
_ANSWERS: dict[str, Any] = {
    "is_available": True,
    "is_initialized": False,
    "is_bf16_supported": True,
    "device_count": 1,
    "current_device": 0,
    "set_device": None,
    "synchronize": None,
    "get_device_name": H100.name,
    "get_device_capability": (9, 0),
    "get_device_properties": H100,
    "get_rng_state": torch.zeros(16, dtype=torch.uint8),
    "set_rng_state": None,
    "current_stream": SimpleNamespace(cuda_stream=0),
    "_exchange_device": 0,
    "_maybe_exchange_device": 0,
    "_get_device_index": 0,
}


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[CompiledFxGraph]]:
    """An H100 answers whoever asks; kernels are compiled, not loaded. The list fills with the compiled graphs."""
    found: list[CompiledFxGraph] = []
    for asked in (torch.cuda, CudaInterface, CudaInterface.Worker):
        for name, answer in _ANSWERS.items():
            answering = staticmethod(lambda *_, answer=answer, **__: answer)
            monkeypatch.setattr(asked, name, answering, raising=asked is torch.cuda)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    for name, answer in {"_cuda_getCurrentRawStream": 0, "_cuda_cudaCachingAllocator_is_enabled": True}.items():
        monkeypatch.setattr(torch._C, name, lambda *_, answer=answer: answer, raising=False)
    for patterns in (joint_graph, post_grad):  # their patterns are traced with tensors that hold something
        monkeypatch.setattr(patterns, "lazy_init", lambda *_, **__: None)
    monkeypatch.setattr(triton_helpers, "set_driver_to_gpu", lambda: None)
    monkeypatch.setattr(CachingAutotuner, "precompile", _compile_only)
    monkeypatch.setattr(CompiledFxGraph, "post_compile", lambda graph, *_, **__: found.append(graph))
    driver.set_active(AbsentGPU(90))
    inductor = {
        "compile_threads": 1,
        "joint_graph_constant_folding": False,
        "force_disable_caches": True,
        "triton.cudagraphs": True,
    }
    with torch._inductor.config.patch(inductor), torch._functorch.config.patch(force_non_lazy_backward_lowering=True):
        yield found


def _compile_only(kernel: CachingAutotuner, *_: Any, **__: Any) -> None:
    for config in kernel.configs:
        kernel._precompile_config(config)


def compile_and_call(function: Callable[..., Any], *arguments: Any) -> None:
    """Compile a call on CUDA tensors that hold nothing. The compiled code is called, too, and its first step fails."""
    torch._dynamo.reset()
    with pytest.raises(RuntimeError, match=r"compiled without support for the specified device|at least two devices"):
        torch.compile(function, fullgraph=True, dynamic=False)(*arguments)


def test_the_feed_forward_network_compiles_to_one_operator_in_each_direction(
    graphs: list[CompiledFxGraph],
) -> None:
    """With dropout, whose 64-bit arithmetic over columns must not become an index of 32 bits."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        network = moved(FeedForward(32, 64, dropout=0.1), CUDA).train()
        x, tokens = torch.zeros(160, 32, device=CUDA), torch.zeros(160, dtype=torch.int64, device=CUDA)
        compile_and_call(network, x.requires_grad_(), DropoutKeys(tokens, tokens))
    forward, backward = graphs
    assert "aten._addmm_activation.default(" in forward.source_code
    assert "translator.relu_gradient.default(" in backward.source_code


@pytest.mark.parametrize("architecture", ["encoder_decoder", "decoder_only", "encoder_only"])
def test_the_loss_compiles_and_nothing_in_it_forbids_cuda_graphs(
    graphs: list[CompiledFxGraph], architecture: str
) -> None:
    config = ModelConfig(**MODEL | DROPOUT, architecture=architecture, positions="rotary")  # type: ignore[arg-type]
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = Bfloat16Copy(moved(build_model(config, 500, 500, 0.1), CUDA).train()).model
        tokens, offsets = (
            torch.zeros(160, dtype=torch.int64, device=CUDA),
            torch.zeros(9, dtype=torch.int32, device=CUDA),
        )
        packed = Packed(tokens, offsets, 64)
        batch = SimpleNamespace(source=packed, target_input=packed, labels=tokens, links=None)
        compile_and_call(model.loss, batch, torch.zeros(8, dtype=torch.int64, device=CUDA))  # type: ignore[arg-type]
    forward, backward = graphs
    operators = (
        (forward, ("translator.triton_attention", "aten._addmm_activation")),
        (backward, ("translator.triton_attention_backward", "translator.relu_gradient")),
    )
    for graph, names in operators:
        assert graph.disabled_cudagraphs_reason is None
        assert graph.device_types == {"cuda"}
        assert all(f"{name}.default(" in graph.source_code for name in names)
        assert "partition_1" not in graph.source_code  # one CUDA graph, not several with the host between
