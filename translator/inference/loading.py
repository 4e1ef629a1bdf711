"""Loading of a model for inference."""

from __future__ import annotations

from pathlib import Path

import torch

from translator.checkpoint import LoadedModel, load_model
from translator.checkpoint.location import find_model
from translator.engines.hardware import choose_device, choose_dtype, set_threads
from translator.model.backends import use_supported_attention


def load_to_decode(
    name_or_path: str | Path, device: str, threads: int | None, precision: str
) -> tuple[LoadedModel, torch.device]:
    """Return a model and its device; arguments and errors as in `Translator.load`."""
    set_threads(threads)
    chosen, dtype = choose_device(device), choose_dtype(precision)
    loaded = load_model(find_model(name_or_path), str(chosen))
    loaded.model.to(dtype)
    use_supported_attention(loaded.model)
    return loaded, chosen
