"""Memory: an allocator that keeps what a training step frees, and how the lack of it is told from other errors."""

from __future__ import annotations

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER = 2**31 - 1

# Besides torch's allocator of CUDA memory, which raises an error of its own.
_OUT_OF_MEMORY_SIGNS = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "Triton Error [CUDA]: out of memory",
    "STATUS_ALLOC_FAILED",
)


def keep_freed_memory() -> None:
    """Have glibc reuse large blocks from step to step instead of returning them to the system at each.

    Every step allocates the same large blocks; mapping, clearing and returning them costs a CPU step a tenth of its
    time and more. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _NEVER)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)


def return_freed_memory() -> None:
    """Return to the system what glibc keeps: now and then, for blocks of many sizes leave gaps that add up to more."""
    if sys.platform.startswith("linux"):
        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if malloc_trim is not None:
            malloc_trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, torch, cuBLAS or Triton, on whatever device, says that memory has run out."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY_SIGNS)
    )
