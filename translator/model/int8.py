"""Inference in int8 on the CPU: linear layers whose weights and inputs are rounded to integers of 8 bits.

Weights have one scale per output channel and are packed once, for the matrix products of FBGEMM. Inputs have one scale
per row, computed anew in each call, so that a row's result does not depend on the other rows. Sums are exact (int32).
Norms, attention and embeddings stay in float32.
"""

from __future__ import annotations

import warnings
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from translator.model.base import Transformer
from translator.model.encoder_decoder import EncoderDecoder
from translator.model.layers import TransformerStack

_ENGINE = "fbgemm"
_PACKING_LOCK = Lock()  # the engine that packs is a setting of the process
_MAX_WEIGHT = 127
_SMALLEST_SCALE = 1e-30  # of a row of zeros
# The operator without the search of torch's Python wrapper for fake tensors, which takes longer than a small product.
_product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default._op


def int8_obstacle() -> str | None:
    """Return the reason that this machine cannot compute in int8, or None if it can."""
    if _ENGINE in torch.backends.quantized.supported_engines:
        return None
    return "torch has no int8 matrix products for this processor"


class Int8Linear(nn.Module):
    """A linear layer in int8, with float32 inputs and outputs.

    An input row is divided by its largest magnitude, rounded to 8 bits, multiplied, and scaled back. Without VNNI
    instructions products are summed in pairs of 16 bits, which could overflow; inputs are then rounded to 7 bits.

    Args:
        weight: `(out_features, in_features)`.
        bias: `(out_features,)`, or None.

    Attributes:
        max_input: largest magnitude of a rounded input.
    """

    dtype = torch.float32

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self._packed = _packed(weight.detach().float())
        self._bias = torch.zeros(()) if bias is None else bias.detach().float().clone()
        self.max_input = 127 if torch.cpu._is_vnni_supported() else 63

    def forward(self, x: Tensor) -> Tensor:
        """Return `x @ weight.T + bias`: `(n, in_features)` to `(n, out_features)`, both float32."""
        scale = torch.amax(x.abs(), 1, True).clamp_(min=_SMALLEST_SCALE)
        # inputs are unsigned in FBGEMM; this one is symmetric around its zero point
        product = _product(x / scale, 1 / self.max_input, self.max_input + 1, self._packed)
        return torch.addcmul(self._bias, product, scale)


def _packed(weight: Tensor) -> Any:
    """Return a weight `(out_features, in_features)` rounded to int8, in the memory layout of FBGEMM."""
    scales = (weight.abs().amax(1) / _MAX_WEIGHT).clamp_(min=_SMALLEST_SCALE)
    rounded = (weight / scales[:, None]).round_().to(torch.int8)
    with _PACKING_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch 2.13 announces that quantized tensors will be removed
        engine, torch.backends.quantized.engine = torch.backends.quantized.engine, _ENGINE
        try:
            zeros = torch.zeros(len(scales), dtype=torch.int64)
            quantized = torch._make_per_channel_quantized_tensor(rounded, scales, zeros, 0)
            return torch.ops.quantized.linear_prepack(quantized, None)
        finally:
            torch.backends.quantized.engine = engine


def convert_to_int8(model: Transformer) -> None:
    """Replace the linear layers of the stacks of a model, and its projection to the vocabulary, by layers in int8.

    The model must be in float32 on the CPU. It can then be used for inference only, and not be saved.
    """
    stacks = [stack for stack in model.children() if isinstance(stack, TransformerStack)]
    for module in [module for stack in stacks for module in stack.modules()]:
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child.weight, child.bias))
    bias = model.output_bias if isinstance(model, EncoderDecoder) else None
    model.output_projection = Int8Linear(model.output_embedding.weight, bias)
