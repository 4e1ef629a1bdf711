"""Compile Triton kernels for a GPU that is not there, and read what they use from the machine code.

The project's own launchers run on CPU tensors that hold nothing; each launch becomes a compilation with the very
specialization (types, divisibility, constants, warps) that a GPU of that architecture would get, and nothing runs.
Works in a process without TRITON_INTERPRET only. Run as a script it prints one JSON line for each compiled kernel.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase
from triton.runtime import driver
from triton.runtime.jit import JITFunction

_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


@dataclass(frozen=True)
class Usage:
    """What one compiled kernel takes of the GPU.

    Attributes:
        name: of the kernel.
        arch: 80 or 90.
        warps: of a program.
        registers: of a thread.
        spilled: bytes of stack of a thread, which is where registers are spilled to.
        instructions: number of instructions in the code of a warp, including branches that it may not take.
        half_word_accesses: loads and stores of two bytes in global memory, the narrowest there are in half precision.
        global_bytes: bytes that a thread loads and stores in global memory; an access in a loop counts once.
        shared: bytes of shared memory of a program.
        matrix_instructions: of the tensor cores.
        warp_group_instructions: those of them that four warps share.
        constants: compile-time constants of the launch, and the dtype of its first tensor.
    """

    name: str
    arch: int
    warps: int
    registers: int
    spilled: int
    instructions: int
    half_word_accesses: int
    global_bytes: int
    shared: int
    matrix_instructions: int
    warp_group_instructions: int
    constants: dict[str, Any] = field(default_factory=dict)


class AbsentGPU(DriverBase):
    """Answers what the compiler asks of a driver, for an architecture that nobody has plugged in."""

    def __init__(self, arch: int) -> None:
        self.arch = arch

    @classmethod
    def is_active(cls) -> bool:
        return True

    def map_python_to_cpp_type(self, ty: str) -> str:
        return ty

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.arch, 32)

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")

    def get_current_device(self) -> int:
        return self.arch  # compiled kernels are cached by device

    def set_current_device(self, device: int) -> None:
        pass

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_device_capability(self, device: int | None = None) -> tuple[int, int]:
        return divmod(self.arch, 10)

    def get_device_interface(self) -> Any:
        return torch.cpu

    def get_benchmarker(self) -> Any:
        raise RuntimeError("There is no GPU to measure on.")

    def get_empty_cache_for_benchmark(self) -> Any:
        raise RuntimeError("There is no GPU to measure on.")

    def clear_cache(self, cache: Any) -> None:
        pass


@contextlib.contextmanager
def compiled(arch: int) -> Iterator[list[Usage]]:
    """Within the context launches compile for `arch` instead of running; the list fills with what each variant uses."""
    usages: list[Usage] = []
    seen: set[str] = set()
    run, active = JITFunction.run, getattr(driver, "_active", None)

    def compile_only(self: JITFunction, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> Any:
        kernel = run(self, *args, grid=grid, warmup=True, **kwargs)
        kernel = kernel.result() if hasattr(kernel, "result") else kernel
        if kernel.hash in seen:
            return kernel
        seen.add(kernel.hash)
        constants = {name: value for name, value in kwargs.items() if name.isupper()}
        constants["dtype"] = str(args[0].dtype).removeprefix("torch.")
        usages.append(_usage(kernel, constants))
        return kernel

    driver.set_active(AbsentGPU(arch))
    JITFunction.run = compile_only
    try:
        yield usages
    finally:
        JITFunction.run = run
        driver._active = active


def _usage(kernel: Any, constants: dict[str, Any]) -> Usage:
    """Read the machine code with the tool that triton brings."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        command = [_TOOLS / "cuobjdump", "-res-usage", file.name]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        disassembly = subprocess.run(
            [_TOOLS / "nvdisasm", "-c", file.name], capture_output=True, text=True, check=True
        ).stdout
    code = kernel.asm["ptx"]
    resources = dict(re.findall(r"(\w+):(\d+)", report.split("Function", 1)[1]))
    return Usage(
        name=kernel.metadata.name,
        arch=kernel.metadata.target.arch,
        warps=kernel.metadata.num_warps,
        registers=int(resources["REG"]),
        spilled=int(resources["STACK"]),
        instructions=len(re.findall(r"^\s*/\*[0-9a-f]+\*/\s+(?!NOP)\S.*;", disassembly, re.MULTILINE)),
        half_word_accesses=len(re.findall(r"\b(?:ld|st)\.global(?:\.\w+)*\.b16\b", code)),
        global_bytes=sum(
            int(count or 1) * int(bits) // 8
            for count, bits in re.findall(r"\b(?:ld|st)\.global(?:\.[a-z]\w*)*?(?:\.v(\d))?\.b(\d+)\b", code)
        ),
        shared=kernel.metadata.shared,
        matrix_instructions=len(re.findall(r"\b(mma\.sync|wgmma\.mma_async)", code)),
        warp_group_instructions=len(re.findall(r"\bwgmma\.mma_async", code)),
        constants=constants,
    )


def launch_attention(
    dtype: torch.dtype = torch.bfloat16,
    head_dim: int = 64,
    *,
    heads: int = 8,
    causal: bool = True,
    dropout_p: float = 0.1,
    max_seqlen: int = 256,
) -> None:
    """Every kernel of attention, forward and backward: each length class that the bound admits, and the long path."""
    from translator.kernels.triton_attention import triton_attention, triton_attention_backward

    projections = [torch.empty(256, 3, heads, head_dim, dtype=dtype)]
    offsets, seed = torch.zeros(9, dtype=torch.int32), torch.zeros(1, dtype=torch.int64)
    options = (offsets, offsets, max_seqlen, max_seqlen, causal, 0.125, dropout_p, seed if dropout_p else None)
    out, log_sum = triton_attention(projections, *options)
    triton_attention_backward(torch.empty_like(out), out, log_sum, projections, *options)


def launch_decoding(
    dtype: torch.dtype = torch.bfloat16,
    head_dim: int = 64,
    *,
    rows: int = 1024,
    beams: int = 4,
    heads: int = 8,
    capacity: int = 256,
) -> None:
    """Attention of one token a row; the keys are split, and merged, where `rows` are few."""
    from translator.kernels import triton_decode

    q = torch.empty(rows, heads, head_dim, dtype=dtype)
    cache = torch.empty(capacity, rows, heads, head_dim, dtype=dtype)
    length, ancestry = torch.zeros(1, dtype=torch.int32), torch.zeros(rows, capacity, dtype=torch.int32)
    triton_decode.triton_decode_attention(q, cache, cache, length, ancestry if beams > 1 else None, 0.125)
    starts, lengths = torch.zeros(2, rows // beams, dtype=torch.int32).unbind()
    triton_decode.triton_decode_cross_attention(q, cache[:, 0], cache[:, 0], starts, lengths, capacity, 0.125)


def launch_searches() -> None:
    """Decoding of many sizes: few and many sentences, narrow and wide beams, short and long translations."""
    for sentences in (1, 3, 8, 20, 64):
        for beams in (2, 4, 5, 16, 20):
            for capacity in (64, 128, 512):
                launch_decoding(rows=sentences * beams, beams=beams, capacity=capacity)


def launch_loss(dtype: torch.dtype = torch.bfloat16, vocab_size: int = 32000, *, needs_grad: bool = True) -> None:
    """The loss between the matrix products."""
    from translator.kernels.triton_cross_entropy import _empty_logits, replace_by_gradient

    logits, padding = _empty_logits(torch.empty(2, 8, dtype=dtype), vocab_size)
    labels = torch.zeros(2, dtype=torch.int64)
    replace_by_gradient(logits, labels, torch.empty(2), torch.empty(2), 0.1, -100, needs_grad, padding)


def launch_relu_gradient(dtype: torch.dtype = torch.bfloat16, d_ff: int = 2048) -> None:
    """The gradient of ReLU and dropout in the feed-forward network."""
    from translator.kernels.triton_relu_linear import _relu_gradient

    out = torch.empty(1000, d_ff, dtype=dtype)
    _relu_gradient(out, out, 1.0)


def launch_odd_vocabulary() -> None:
    """The loss over a vocabulary that is no multiple of 16."""
    launch_loss(vocab_size=37003)


def launch_top_tokens(dtype: torch.dtype = torch.float32, vocab_size: int = 32000, *, count: int = 5) -> None:
    """What a search looks for in the logits."""
    from translator.kernels.triton_top_tokens import triton_top_tokens

    triton_top_tokens(torch.empty(2, vocab_size, dtype=dtype), count, 2)


def launch_representatives() -> None:
    """What training and translating with a base model launch."""
    launch_attention()
    launch_decoding()
    launch_decoding(rows=4)
    launch_loss()
    launch_relu_gradient()
    launch_top_tokens()


def launch_oddities() -> None:
    """Arguments that are code of their own: 1 is a constant, None no pointer, multiples of 16 are known to be such."""
    launch_attention(heads=1)
    launch_attention(heads=1, head_dim=24, dropout_p=0.0, causal=False)
    launch_decoding(rows=1, beams=1, heads=1)
    launch_decoding(rows=1024, beams=1, heads=3, head_dim=24)
    launch_decoding(rows=1024, beams=1024)
    launch_loss(vocab_size=2)
    launch_loss(vocab_size=8001, needs_grad=False)
    launch_loss(vocab_size=33001)
    launch_relu_gradient(d_ff=1)
    launch_relu_gradient(d_ff=1000)
    launch_relu_gradient(torch.float32, d_ff=37)


def launch_everything() -> None:
    """Every variant that a supported configuration can ask for, up to what differs in constants alone."""
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for head_dim in (16, 32, 40, 64, 80, 128):
            for causal in (False, True):
                for dropout_p in (0.0, 0.1):
                    launch_attention(dtype, head_dim, causal=causal, dropout_p=dropout_p)
            launch_decoding(dtype, head_dim)
            launch_decoding(dtype, head_dim, rows=4)
        launch_relu_gradient(dtype)
        for vocab_size in (500, 8000, 32000, 60000):
            launch_loss(dtype, vocab_size)
            launch_loss(dtype, vocab_size, needs_grad=False)
            for count in (1, 5, 64):
                launch_top_tokens(dtype, vocab_size, count=count)


if __name__ == "__main__":
    _, which, *architectures = sys.argv
    launches = {
        "representatives": launch_representatives,
        "oddities": launch_oddities,
        "searches": launch_searches,
        "odd_vocabulary": launch_odd_vocabulary,
        "everything": launch_everything,
    }
    launch = launches[which]
    for architecture in architectures:
        with compiled(int(architecture)) as usages:
            launch()
        for usage in usages:
            print(json.dumps(asdict(usage)), flush=True)
