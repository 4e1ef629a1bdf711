"""Loss and gradients of one micro-batch after the other: as Python runs them, compiled, or compiled in CUDA graphs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from translator.config import TrainingConfig
from translator.model import Model
from translator.model.base import SequenceBatch


class Backward:
    """Adds the gradients of micro-batches up, as a configuration has it.

    Args:
        model: whose gradients are computed, on the device that computes.
        options: `precision`, `compile`, `cuda_graphs` and `accumulation` are read.
        static_shapes: whether all batches have the same shapes.
    """

    def __init__(self, model: Model, options: TrainingConfig, *, static_shapes: bool) -> None:
        self._model = model
        self._is_mixed = options.precision == "bfloat16"
        self._has_graphs = options.cuda_graphs
        self._accumulates = options.accumulation > 1
        self._loss: Any = model.loss
        if options.compile:
            mode = "reduce-overhead" if options.cuda_graphs else None  # torch's name for CUDA graphs, idle on a CPU
            self._loss = torch.compile(model.loss, dynamic=not static_shapes, mode=mode)

    def __call__(self, batch: SequenceBatch, number: int, seed: Tensor) -> tuple[Tensor, Tensor]:
        """Add the gradients of one micro-batch to the model's.

        Args:
            batch: on the device.
            number: of the micro-batch in its step; the first finds gradients that are None.
            seed: `(1,)` int64 on the device, seed of attention dropout, different for every batch.

        Returns:
            The summed loss, without its history, and the number of labels. Both are to be used before the next call.
        """
        if self._has_graphs:
            # What the graphs gave for the last micro-batch is done with.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with torch.autocast(batch.labels.device.type, torch.bfloat16, enabled=self._is_mixed):
            loss, count = self._loss(batch, seed)
        loss.backward()
        if self._has_graphs and self._accumulates and number == 0:
            self._copy_gradients()
        return loss.detach(), count

    def _copy_gradients(self) -> None:
        """Move gradients out of the memory of the graphs, which the next micro-batch overwrites.

        Autograd takes the first gradient of a parameter as it is, without copying it, and adds later ones in place.
        Where no micro-batch follows, the optimizer reads them before they are overwritten.
        """
        for parameter in self._model.parameters():
            if parameter.grad is not None:
                parameter.grad = parameter.grad.clone()
