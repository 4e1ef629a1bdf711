"""Engines: token ids in, candidates out. An engine owns the model, the device and its threads."""

from typing import Literal, get_args

EngineName = Literal["auto", "torch", "ctranslate2"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
