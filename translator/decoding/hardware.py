"""What a translator runs on."""

from __future__ import annotations

import torch

from translator.decoding.search import DecodingError


def choose_device(name: str) -> torch.device:
    """The device of this name; `auto` is the first CUDA device, or the CPU where there is none.

    Raises:
        DecodingError: it is no device, or not one that is here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DecodingError(
            f"device must be auto, cpu, or a device that torch can use here, such as cuda. Received: {name!r}. "
            f"torch says: {str(error).splitlines()[0]}"
        ) from error
    return device


def set_threads(threads: int | None) -> None:
    """Let torch use so many CPU threads in this process; none changes nothing.

    Raises:
        DecodingError: it is less than one.
    """
    if threads is not None:
        if threads < 1:
            raise DecodingError(f"threads must be at least 1. Received: {threads}.")
        torch.set_num_threads(threads)
