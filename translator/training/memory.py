"""Memory: an allocator that keeps what a training step frees, and recognition of out-of-memory errors."""

from __future__ import annotations

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER = 2**31 - 1

# In messages of RuntimeError. The allocator of CUDA memory raises torch.OutOfMemoryError instead.
_OUT_OF_MEMORY_SIGNS = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "Triton Error [CUDA]: out of memory",
    "STATUS_ALLOC_FAILED",
)


def keep_freed_memory() -> None:
    """Make glibc reuse large blocks from step to step, instead of returning them to the system each time.

    Every step allocates the same large blocks. Mapping and clearing them again takes a tenth of the time of a CPU step
    and more. Other C libraries are not changed.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _NEVER)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)


def return_freed_memory() -> None:
    """Return unused memory of glibc to the system, after work with blocks of many sizes has fragmented it."""
    if sys.platform.startswith("linux"):
        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if malloc_trim is not None:
            malloc_trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if an error of Python, torch, cuBLAS or Triton, on any device, means that memory ran out."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY_SIGNS)
    )
