"""The allocator's habits, and which errors say that memory has run out."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from translator.training.memory import is_out_of_memory

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
