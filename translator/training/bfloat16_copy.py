"""A bfloat16 copy of the weights of matrix products, so that float32 weights train in bfloat16.

`torch.autocast` does the same with a conversion of every weight and activation at each product. Here weights are
converted once per optimizer step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from translator.model import Model


class Bfloat16Copy:
    """Copy of a model whose linear layers have bfloat16 weights and biases of their own.

    All other parameters, those of embeddings and norms, are shared with the model and stay in float32, because
    bfloat16 sums of many small gradients lose most of them. So does the residual stream between the sublayers.

    Args:
        model: model with float32 weights, on its device.
        on_gradient: called with each weight of a linear layer in a backward pass, when its gradient is complete.

    Attributes:
        model: the copy.
    """

    def __init__(self, model: Model, on_gradient: Callable[[Tensor], None] | None = None) -> None:
        shared = (*model.parameters(), *model.buffers())
        self._on_gradient = on_gradient
        self.model = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
        self._weights: list[Tensor] = []
        self._copies: list[Tensor] = []
        for original, copied in zip(model.modules(), self.model.modules(), strict=True):
            if isinstance(original, nn.Linear):
                for name, weight in original.named_parameters(recurse=False):
                    narrow = nn.Parameter(weight.detach().to(torch.bfloat16))
                    setattr(copied, name, narrow)
                    narrow.register_post_accumulate_grad_hook(partial(self._move_gradient, weight))  # type: ignore[no-untyped-call]
                    self._weights.append(weight)
                    self._copies.append(narrow)

    @torch.no_grad()
    def update(self) -> None:
        """Copy the weights of the model, after an optimizer step has changed them."""
        torch._foreach_copy_(self._copies, self._weights)

    @torch.no_grad()
    def _move_gradient(self, weight: Tensor, narrow: Tensor) -> None:
        """Add a gradient of the copy to that of the model, in float32, and clear it. Autograd calls it."""
        assert narrow.grad is not None
        if weight.grad is None:
            weight.grad = narrow.grad.to(weight.dtype)
        else:
            weight.grad.add_(narrow.grad)
        narrow.grad = None
        if self._on_gradient is not None:
            self._on_gradient(weight)
