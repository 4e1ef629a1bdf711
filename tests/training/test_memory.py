"""The allocator's habits, sizes of memory, and which errors say that memory has run out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from translator.training import memory
from translator.training.memory import (
    available_memory,
    current_memory,
    format_bytes,
    is_out_of_memory,
    peak_memory,
    reset_peak_memory,
)

CPU = torch.device("cpu")

SCRIPT = """
import torch
from pathlib import Path
from translator.training.memory import keep_freed_memory, return_freed_memory

def resident():  # MiB
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

keep_freed_memory()
before = resident()
blocks = [torch.ones(2**20 + 4096 * number) for number in range(60)]  # 4 MiB and more each
full = resident()
blocks = blocks[::6]  # what stays keeps the heap from shrinking
kept = resident()
return_freed_memory()
print(full - before, kept - before, resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how glibc works")
def test_freed_memory_is_kept_until_it_is_returned() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    full, kept, returned = map(float, done.stdout.split())
    assert full > 240
    assert kept > 0.9 * full
    assert returned < 0.4 * full


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.05 GiB."),
        torch.AcceleratorError("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA` to enable assertions."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
    ],
)
def test_every_kind_of_out_of_memory_error_is_recognized(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_an_allocation_that_fails_is_running_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as failure:
        torch.empty(2**50)
    assert is_out_of_memory(failure.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        ValueError("out of memory"),
    ],
)
def test_other_errors_are_not_running_out_of_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 MiB"), (2**20, "1 MiB"), (1500 * 2**20, "1,500 MiB"), (12 * 2**30 + 2**29, "12.5 GiB")]
)
def test_sizes_are_shown_in_binary_units(size: int, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs the /proc of Linux")
def test_the_peak_since_a_reset_is_that_of_what_was_allocated_after_it() -> None:
    torch.ones(1 << 26)  # 256 MiB, before the reset
    assert reset_peak_memory(CPU)
    before = current_memory(CPU)
    assert before is not None
    block = torch.ones(1 << 24)
    peak = peak_memory(CPU)
    assert peak is not None
    assert 0.9 * block.nbytes < peak - before < 2 * block.nbytes


def test_available_memory_is_bounded_by_the_control_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    free = available_memory(CPU)
    for limit, expected in (("max\n", free), ("5000000\n", 4_000_000)):
        (tmp_path / "memory.max").write_text(limit)
        (tmp_path / "memory.current").write_text("1000000\n")
        assert available_memory(CPU) == pytest.approx(expected, rel=0.2)


def test_memory_is_unknown_on_systems_that_do_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("_STATUS", "_CLEAR_REFS"):
        monkeypatch.setattr(memory, name, tmp_path / "absent" / "file")
    assert current_memory(CPU) is None
    assert not reset_peak_memory(CPU)
    assert (peak_memory(CPU) or 0) > 2**20  # of the whole process


def _growth(prepare: str) -> int:
    """Return by how many bytes a new process grows in bfloat16 products of ever new sizes, after `prepare`.

    As in training, each product is prepared while the large blocks of a step are allocated, whose sizes change too.
    """
    program = f"""
import random, torch
from translator.training.memory import bound_primitive_caches, current_memory, keep_freed_memory
keep_freed_memory()
{prepare}
generator = random.Random(1)
weights = torch.ones(256, 256, dtype=torch.bfloat16)
def memory_after(steps):
    for step in steps:
        blocks = []
        for size in range(600 + 20 * step, 620 + 20 * step):
            blocks.append(torch.ones(generator.randrange(2**18, 2**19)))
            torch.ones(size, 256, dtype=torch.bfloat16) @ weights
    return current_memory(torch.device("cpu"))
print(-memory_after(range(10)) + memory_after(range(10, 50)))
"""
    command = [sys.executable, "-c", program]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CACHE_CAPACITY")}
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the /proc of Linux")
def test_products_of_new_sizes_do_not_add_memory_forever() -> None:
    unbounded = _growth("")
    if unbounded < 100 << 20:
        pytest.skip("oneDNN keeps little for a product on this processor")
    assert _growth("bound_primitive_caches()") < unbounded / 8


_STEP = """
import torch
from translator.config import ModelConfig
from translator.model import build_model
from translator.packing import Packed
from translator.training.bfloat16_copy import Bfloat16Copy
from translator.training.memory import bound_primitive_caches

{prepare}
stack = {"encoder_layers": 3, "decoder_layers": 3, "encoder_heads": 2, "decoder_heads": 2}
model = Bfloat16Copy(build_model(ModelConfig(d_model=32, d_ff=64, max_positions=256, **stack), 40, 40, 0.1)).model
lengths = [round(200 * 0.6**number) + 1 for number in range(10) for _ in range(8)]
source = Packed.from_sequences([[7] * length for length in lengths])
target = Packed.from_sequences([[7] * (length + length // 9) for length in lengths])
hidden = model(source, target, torch.arange(len(lengths)))
hidden.float().sum().backward()
"""


def _num_new_products(prepare: str) -> int:
    """Return how many products oneDNN prepares in a bfloat16 step with ten groups of sentences, after `prepare`."""
    command = [sys.executable, "-c", _STEP.replace("{prepare}", prepare)]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CACHE_CAPACITY")}
    environment["ONEDNN_VERBOSE"] = "2"
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return sum("create:cache_miss" in line and ",matmul," in line for line in done.stdout.splitlines())


def test_layers_of_a_step_share_their_products_in_bounded_caches() -> None:
    unbounded = _num_new_products("")
    if not unbounded:
        pytest.skip("oneDNN does not multiply in bfloat16 on this processor")
    assert _num_new_products("bound_primitive_caches()") < 1.2 * unbounded
