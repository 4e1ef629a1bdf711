"""Kernels run on the GPU where there is one, and otherwise in Triton's interpreter, on the CPU."""

from __future__ import annotations

import os
import sys

import pytest
import torch

if not torch.cuda.is_available():
    assert "triton" not in sys.modules or os.environ.get("TRITON_INTERPRET") == "1", (
        "triton was imported before TRITON_INTERPRET could be set: import it inside tests, not at the top of a module."
    )
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Where the Triton kernels run."""
    pytest.importorskip("triton")
    if torch.cuda.is_available():
        return torch.device("cuda")
    import triton_interpreter

    triton_interpreter.repair()
    return torch.device("cpu")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a machine with a GPU, what runs on either is part of `-m gpu`."""
    if torch.cuda.is_available():
        for item in items:
            if "device" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.gpu)
