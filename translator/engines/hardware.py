"""Choice of device, precision and CPU threads; conversion of models to a precision."""

from __future__ import annotations

import torch

from translator.config.decoding import PRECISIONS, Precision
from translator.decoding.errors import DecodingError
from translator.model import Model
from translator.model.int8 import convert_to_int8, int8_obstacle
from translator.model.packed import pack

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


def choose_precision(requested: str | None, configured: Precision) -> Precision:
    """Return the precision of the computation.

    Args:
        requested: name of a precision; None takes the configured one.
        configured: `decoding.precision` of the model.

    Raises:
        DecodingError: if there is no such precision.
    """
    if requested is None:
        return configured
    for name in PRECISIONS:
        if name == requested:
            return name
    names = f"{', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}"
    raise DecodingError(f"precision must be {names}. Received: {requested!r}.")


def set_precision(model: Model, precision: Precision, device: torch.device) -> None:
    """Convert a model in float32, on `device`, to a precision, and on the CPU pack its weights where that is faster.

    Raises:
        DecodingError: if the device cannot compute in int8.
    """
    if precision == "bfloat16":
        model.to(torch.bfloat16)
    elif precision == "int8":
        obstacle = int8_obstacle() if device.type == "cpu" else "engine: torch computes in int8 on CPUs only"
        if obstacle is not None:
            raise DecodingError(
                f"precision: int8 cannot be used on {device}: {obstacle}. Use float32 or bfloat16, or device: cpu."
            )
        convert_to_int8(model)
        return
    if device.type == "cpu":
        pack(model)


def set_threads(threads: int | None) -> None:
    """Set the number of CPU threads that torch uses in this process; None leaves it.

    Raises:
        DecodingError: if the number is out of range.
    """
    if threads is not None:
        if not 1 <= threads <= _MAX_THREADS:
            raise DecodingError(f"threads must be at least 1 and at most {_MAX_THREADS}. Received: {threads}.")
        torch.set_num_threads(threads)
