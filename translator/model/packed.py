"""Linear layers whose weights are packed once for oneDNN, where that multiplies faster than the default of torch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from translator.model.base import Transformer
from translator.model.encoder_decoder import EncoderDecoder
from translator.model.layers import TransformerStack

_CPU_INFO = Path("/proc/cpuinfo")
_MIN_FLOAT32_SIZE = 2**18  # of a weight; below, a call of oneDNN takes longer than the product
_product = torch.ops.mkldnn._linear_pointwise.default._op  # without the checks of torch's Python wrapper


class PackedLinear(nn.Module):
    """A linear layer for inference on the CPU.

    Args:
        weight: `(out_features, in_features)`, float32 or bfloat16.
        bias: `(out_features,)`, the same dtype, or None.

    Attributes:
        dtype: dtype of inputs and outputs.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.dtype = weight.dtype
        with torch.inference_mode(False), torch.no_grad():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().clone(), None)
            self._bias = None if bias is None else bias.detach().clone()

    def forward(self, x: Tensor) -> Tensor:
        """Return `x @ weight.T + bias`: `(n, in_features)` to `(n, out_features)`."""
        out: Tensor = _product(x, self._packed, self._bias, "none", [], "")
        return out


def packs_well(dtype: torch.dtype) -> bool:
    """Return True if packed weights are faster on this CPU, as measured.

    In bfloat16 wherever the CPU has units for it, since torch otherwise packs in every call. In float32 on AMD with
    AVX-512, where MKL leaves a third of the speed unused.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() == "AVX512" and _is_amd()


def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in _CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        return False


def pack(model: Transformer) -> None:
    """Replace the linear layers of the stacks, and the projection to the vocabulary, by packed ones where it pays.

    The model must be on the CPU. It can then be used for inference only, and not be saved.
    """
    weight = model.output_embedding.weight
    if not packs_well(weight.dtype):
        return
    smallest = _MIN_FLOAT32_SIZE if weight.dtype == torch.float32 else 0
    stacks = [stack for stack in model.children() if isinstance(stack, TransformerStack)]
    for module in [module for stack in stacks for module in stack.modules()]:
        for name, child in module.named_children():
            if isinstance(child, nn.Linear) and child.weight.numel() >= smallest:
                setattr(module, name, PackedLinear(child.weight, child.bias))
    if weight.numel() >= smallest:
        bias = model.output_bias if isinstance(model, EncoderDecoder) else None
        model.output_projection = PackedLinear(weight, bias)
