"""Forward and backward pass of micro-batches: in eager mode, compiled, or compiled with CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from translator.config import TrainingConfig
from translator.model import Model
from translator.model.base import SequenceBatch
from translator.training.bfloat16_copy import Bfloat16Copy


class ForwardBackward:
    """Forward and backward pass that accumulates the gradients of micro-batches.

    Args:
        model: model on its device.
        options: the options `compile`, `cuda_graphs`, `accumulation` and `step_tokens` are read.
        dtype: data type of matrix products, float32 or bfloat16 (see `Bfloat16Copy`).
        static_shapes: whether all batches have the same shapes.
        on_gradient: see `Bfloat16Copy`.
    """

    def __init__(
        self,
        model: Model,
        options: TrainingConfig,
        dtype: torch.dtype,
        *,
        static_shapes: bool,
        on_gradient: Callable[[Tensor], None] | None = None,
    ) -> None:
        self._model = model
        self._copy = Bfloat16Copy(model, on_gradient) if dtype == torch.bfloat16 else None
        self._has_graphs = options.cuda_graphs
        self._accumulates = options.accumulation > 1 or options.step_tokens is not None
        self._learner: Any = model if self._copy is None else self._copy.model
        self._eager_loss: Any = self._learner.loss
        self._loss = self._eager_loss
        if options.compile:
            mode = "reduce-overhead" if options.cuda_graphs else None  # torch's name for CUDA graphs; no effect on CPU
            self._loss = torch.compile(self._loss, dynamic=not static_shapes, mode=mode)

    def __call__(
        self,
        batch: SequenceBatch,
        number: int,
        seeds: Tensor,
        link_factor: Tensor | None = None,
        *,
        is_eager: bool = False,
    ) -> tuple[Tensor, ...]:
        """Add the gradients of one micro-batch to those of the model.

        Args:
            batch: micro-batch on the device of the model.
            number: number of the micro-batch in its step, from 0; the gradients are None before the first.
            seeds: `(num_sequences,)` int64 on the device, seed of dropout for each example.
            link_factor: factor on the alignment loss, `()` on the device, with guided alignment, which is never
                compiled; None without.
            is_eager: run in eager mode even if the options compile.

        Returns:
            The summed loss, detached, and the number of labels; with guided alignment also the summed alignment loss,
            without the factor. They are valid until the next call.
        """
        if self._has_graphs:
            # The outputs of the graphs for the previous micro-batch are no longer used.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        if self._copy is not None and number == 0:
            self._copy.update()
        if link_factor is None:
            loss, *totals = (self._eager_loss if is_eager else self._loss)(batch, seeds)
        else:
            loss, *totals = self._learner.guided_loss(batch, seeds, link_factor)
        loss.backward()
        if self._has_graphs and self._accumulates and number == 0:
            self._copy_gradients()
        return loss.detach(), *totals

    def _copy_gradients(self) -> None:
        """Copy gradients out of the memory of the graphs, which the next micro-batch overwrites.

        Autograd stores the first gradient of a parameter without a copy and adds later ones in place. If no micro-batch
        follows, the optimizer reads the gradients before they are overwritten.
        """
        for parameter in self._model.parameters():
            if parameter.grad is not None:
                parameter.grad = parameter.grad.clone()
