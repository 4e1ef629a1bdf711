"""Selection of the attention backend from properties known on the host, a constant for `torch.compile`."""

from __future__ import annotations

import logging
import os
from functools import cache
from importlib.util import find_spec

import torch

BACKENDS = ("auto", "triton", "grouped", "sdpa", "reference")

_MAX_TRITON_HEAD_DIM = 128
_TRITON_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_log = logging.getLogger(__name__)


def choose_backend(backend: str, device_type: str, dtype: torch.dtype, head_dim: int) -> str:
    """Return the backend that computes attention if `backend` is requested.

    `auto` selects `grouped` on the CPU, and elsewhere `triton` or, if that does not support the inputs, `sdpa`. The
    selection and its reason are logged once.

    Args:
        backend: one of BACKENDS.
        device_type: device type of the tensors, `cpu` or `cuda`.
        dtype: dtype of the queries.
        head_dim: dimensions per head.

    Returns:
        One of BACKENDS other than `auto`.

    Raises:
        ValueError: if `backend` is unknown or does not support the inputs.
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
    """Return the obstacle to a configured attention backend, or None; arguments as of `choose_backend`."""
    return _obstacle(device_type, dtype, head_dim) if backend == "triton" else None


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
    """Return the reason why Triton does not support attention of these inputs, or None."""
    if head_dim > _MAX_TRITON_HEAD_DIM:
        return f"it takes a head_dim of up to {_MAX_TRITON_HEAD_DIM}. Received: head_dim={head_dim}"
    return triton_obstacle(device_type, dtype)


def triton_obstacle(device_type: str, dtype: torch.dtype) -> str | None:
    """Return the reason why Triton does not support tensors of this dtype on this device, or None.

    `meta` tensors, which have no data, are treated as CUDA tensors.
    """
    if find_spec("triton") is None:
        return "it is not installed"
    if device_type not in ("cuda", "meta") and not (device_type == "cpu" and is_interpreted()):
        return (
            "it requires a CUDA device, or TRITON_INTERPRET=1 for a test on the CPU. "
            f"Received: tensors on {device_type}"
        )
    if dtype not in _TRITON_DTYPES:
        return f"it takes float32, float16 and bfloat16. Received: {str(dtype).removeprefix('torch.')}"
    return None


def is_interpreted() -> bool:
    """Return True if Triton runs in its interpreter on the CPU, with TRITON_INTERPRET=1."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on")


# As torch.compiler.assume_constant_result, without importing the compiler, which takes seconds. The selection is made,
# and logged, while a graph is traced, and is a constant in it.
for _function in (choose_backend, triton_obstacle):
    setattr(_function, "_dynamo_marked_constant", True)  # noqa: B010
