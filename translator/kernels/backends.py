"""Which implementation serves a call: chosen from what the host knows, so that `torch.compile` sees a constant."""

from __future__ import annotations

import logging
import os
from functools import cache
from importlib.util import find_spec

import torch

BACKENDS = ("auto", "triton", "grouped", "sdpa", "reference")

_LARGEST_TRITON_HEAD = 128
_TRITON_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_log = logging.getLogger(__name__)


def choose_backend(backend: str, device_type: str, dtype: torch.dtype, head_dim: int) -> str:
    """What serves attention when `backend` is asked for.

    `auto` takes `grouped` on the CPU, and elsewhere `triton` or, where that cannot serve, `sdpa`; what it takes, and
    why, is logged once.

    Args:
        backend: one of BACKENDS.
        device_type: of the tensors, `cpu` or `cuda`.
        dtype: of the queries.
        head_dim: dimensions of a head.

    Returns:
        One of BACKENDS other than `auto`.

    Raises:
        ValueError: `backend` is unknown or cannot serve this.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}. Received: {backend!r}.")
    if backend == "auto":
        return _automatic(device_type, dtype, head_dim)
    if backend == "grouped" and device_type != "cpu":
        raise ValueError(f"backend grouped serves the CPU. Received: tensors on {device_type}. Use auto or sdpa.")
    if obstacle := backend_obstacle(backend, device_type, dtype, head_dim):
        raise ValueError(f"backend triton cannot serve this: {obstacle}. Use auto, sdpa or reference.")
    return backend


def backend_obstacle(backend: str, device_type: str, dtype: torch.dtype, head_dim: int) -> str | None:
    """Return why a configured attention backend cannot be used, or None if it can; arguments as of `choose_backend`."""
    return _obstacle(device_type, dtype, head_dim) if backend == "triton" else None


# What torch.compiler.assume_constant_result(choose_backend) does, short of importing the compiler, which takes seconds:
# the choice is made, and logged, while a graph is traced, and is a constant in it.
setattr(choose_backend, "_dynamo_marked_constant", True)  # noqa: B010


@cache
def _automatic(device_type: str, dtype: torch.dtype, head_dim: int) -> str:
    if device_type == "cpu":
        return "grouped"
    obstacle = _obstacle(device_type, dtype, head_dim)
    if obstacle:
        _log.warning("attention: sdpa, slower than triton, which cannot serve this: %s", obstacle)
        return "sdpa"
    _log.info("attention: triton, for %s with heads of %d on %s", dtype, head_dim, device_type)
    return "triton"


def _obstacle(device_type: str, dtype: torch.dtype, head_dim: int) -> str | None:
    """Why Triton cannot serve attention, if it cannot."""
    if head_dim > _LARGEST_TRITON_HEAD:
        return f"it takes a head_dim of up to {_LARGEST_TRITON_HEAD}. Received: head_dim={head_dim}"
    return triton_obstacle(device_type, dtype)


def triton_obstacle(device_type: str, dtype: torch.dtype) -> str | None:
    """Why Triton cannot serve tensors of this dtype on this device, if it cannot.

    What `meta` tensors go through, which are shapes without numbers, is what CUDA tensors would.
    """
    if find_spec("triton") is None:
        return "it is not installed"
    if device_type not in ("cuda", "meta") and not (device_type == "cpu" and is_interpreted()):
        return (
            f"it needs a CUDA device, or TRITON_INTERPRET=1 for a test on the CPU. Received: tensors on {device_type}"
        )
    if dtype not in _TRITON_DTYPES:
        return f"it takes float32, float16 and bfloat16. Received: {str(dtype).removeprefix('torch.')}"
    return None


def is_interpreted() -> bool:
    """Whether Triton runs in its interpreter, on the CPU, which TRITON_INTERPRET=1 asks for."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on")
