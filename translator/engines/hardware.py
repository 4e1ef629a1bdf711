"""Choice of device, precision and CPU threads."""

from __future__ import annotations

import torch

from translator.decoding.errors import DecodingError

_MAX_THREADS = 1024  # torch ends the process, without an exception, if it cannot start a thread


def choose_device(name: str) -> torch.device:
    """Return the device with this name; `auto` is the first CUDA device, or the CPU without one.

    Raises:
        DecodingError: if torch cannot use the device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise DecodingError(
            f"device must be auto, cpu, or a device that torch can use here, such as cuda. Received: {name!r}. "
            f"torch says: {str(error).splitlines()[0]}"
        ) from error
    return device


def choose_dtype(precision: str) -> torch.dtype:
    """Return the dtype of weights and activations.

    Raises:
        DecodingError: if `precision` is neither float32 nor bfloat16.
    """
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if precision not in dtypes:
        raise DecodingError(f"precision must be {' or '.join(dtypes)}. Received: {precision!r}.")
    return dtypes[precision]


def set_threads(threads: int | None) -> None:
    """Set the number of CPU threads that torch uses in this process; None leaves it.

    Raises:
        DecodingError: if the number is out of range.
    """
    if threads is not None:
        if not 1 <= threads <= _MAX_THREADS:
            raise DecodingError(f"threads must be at least 1 and at most {_MAX_THREADS}. Received: {threads}.")
        torch.set_num_threads(threads)
