"""A model by name, ready to decode: found, read, and put where and in which precision it runs."""

from __future__ import annotations

from pathlib import Path

import torch

from translator.checkpoint import LoadedModel, load_model
from translator.checkpoint.location import find_model
from translator.inference.hardware import choose_device, choose_dtype, set_threads


def load_to_decode(
    name_or_path: str | Path, device: str, threads: int | None, precision: str
) -> tuple[LoadedModel, torch.device]:
    """A model and the device that it is on; arguments and errors as in `Translator.load`."""
    set_threads(threads)
    chosen, dtype = choose_device(device), choose_dtype(precision)
    loaded = load_model(find_model(name_or_path), str(chosen))
    loaded.model.to(dtype)
    return loaded, chosen
