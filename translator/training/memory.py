"""Memory: its current, peak and available size, an allocator that keeps freed memory, and out-of-memory errors."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc_pid_clear_refs(5)
_CGROUP = Path("/sys/fs/cgroup")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER = 2**31 - 1
# More than the shapes of matrix products between two uses of the same one, by one layer and by the next. Most are those
# of attention: eight per group of sentences in the backward pass of a decoder layer, with about 14 groups at most.
_CACHED_PRIMITIVES = 128

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


def bound_primitive_caches() -> None:
    """Limit the code that oneDNN generates for matrix products of each new shape and keeps, unless the user has.

    In bfloat16 on the CPU, a step adds more than a hundred products of new shapes, half a megabyte each. They lie
    between the large blocks of the step. As long as they are cached, the gaps between them are too small for the blocks
    of later steps, of other sizes, which take new memory: with torch's caches of 1,024 entries several gigabytes. Must
    be called before the first matrix product. Layers of a step share their shapes, so that smaller caches cost no time.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):  # of oneDNN, and of torch's layer above it
        os.environ.setdefault(name, str(_CACHED_PRIMITIVES))


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


def current_memory(device: torch.device) -> int | None:
    """Return the bytes in use now: allocated on a CUDA device, or resident in this process; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _status("VmRSS")


def peak_memory(device: torch.device) -> int | None:
    """Return the maximum of `current_memory` since the last reset, or since the process began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = _status("VmHWM")
    if peak is None:
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return peak


def reset_peak_memory(device: torch.device) -> bool:
    """Forget the peak so far; return False if the system cannot."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    return_freed_memory()
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def available_memory(device: torch.device) -> int | None:
    """Return the bytes that this process can still allocate; None if unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    available = int(found[1]) * 1024 if found else None
    try:
        limit, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return available
    if limit == "max":
        return available
    left = int(limit) - int(used)
    return left if available is None else min(available, left)


def format_bytes(size: int) -> str:
    """Return a size in MiB, or in GiB from 10 GiB on."""
    mebibytes = size / 2**20
    return f"{mebibytes:,.0f} MiB" if mebibytes < 10240 else f"{mebibytes / 1024:,.1f} GiB"


def _status(key: str) -> int | None:
    """Return a size in bytes from the status of this process; None if the system has no such file or key."""
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
