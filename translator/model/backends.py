"""Attention backends of a model, checked against the device that the model is on."""

from __future__ import annotations

import logging

from torch import nn

from translator.kernels.backends import backend_obstacle
from translator.model.attention import MultiHeadAttention

_log = logging.getLogger(__name__)


def attention_obstacle(model: nn.Module) -> str | None:
    """Return the obstacle to the attention backend of a model on its device, or None."""
    obstacles = (_obstacle(module) for module in model.modules() if isinstance(module, MultiHeadAttention))
    return next((obstacle for obstacle in obstacles if obstacle), None)


def use_supported_attention(model: nn.Module) -> None:
    """Replace the attention backend by `auto` where it cannot be used on the device of the model.

    A model that was trained on a GPU with an explicit backend can so be used on a machine without one. The backends
    compute the same function.
    """
    if obstacle := attention_obstacle(model):
        _log.info("attention: auto, since the backend of the model cannot be used: %s", obstacle)
    for module in model.modules():
        if isinstance(module, MultiHeadAttention) and _obstacle(module):
            module.backend = "auto"


def _obstacle(module: MultiHeadAttention) -> str | None:
    weight = module.output_projection.weight
    return backend_obstacle(module.backend, weight.device.type, weight.dtype, module.head_dim)
