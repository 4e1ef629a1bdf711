"""Gradients of an optimizer step over its micro-batches, computed again in halves if memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from translator.config import TrainingConfig
from translator.data.batch import Batch, Capacity
from translator.data.steps import halves
from translator.model import Model
from translator.training.forward_backward import ForwardBackward
from translator.training.gradient_sum import GradientSum
from translator.training.memory import is_out_of_memory, return_freed_memory


class StepGradients:
    """Sums the gradients of the micro-batches of a step on one rank.

    A step that runs out of memory is computed again with each micro-batch in halves, until it fits or only single
    examples are left. All random draws are functions of the example, so that the gradients differ only in rounding.

    Args:
        model: model on its device.
        options: the options `compile`, `cuda_graphs`, `accumulation` and `step_tokens` are read.
        dtype: data type of matrix products.
        seed: random seed of the run.
        capacity: sizes to which micro-batches are padded, so that one compiled graph serves all; None for no padding.
        say: function that shows a line.
        gradient_sum: told which pass of a step is the last, and which gradients are complete.
        can_retry: whether a step can be computed again: not if other ranks take part in its passes.
    """

    def __init__(
        self,
        model: Model,
        options: TrainingConfig,
        dtype: torch.dtype,
        seed: int,
        capacity: Capacity | None,
        say: Callable[[str], None],
        gradient_sum: GradientSum,
        *,
        can_retry: bool = True,
    ) -> None:
        self._model, self._seed, self._capacity, self._say = model, seed, capacity, say
        self._device = next(model.parameters()).device
        self._gradient_sum, self._can_retry = gradient_sum, can_retry
        self._forward_backward = ForwardBackward(
            model, options, dtype, static_shapes=capacity is not None, on_gradient=gradient_sum.add
        )

    def __call__(self, batches: Sequence[Batch], link_factor: Tensor | None = None) -> Tensor:
        """Compute the gradients of a step; those of the model must be None before.

        Args:
            batches: micro-batches of this rank.
            link_factor: factor on the alignment loss, `()` on the device; None without guided alignment.

        Returns:
            Summed loss in nats, number of labels, summed alignment loss without the factor (0 without guided
            alignment), and 1 if memory ran out, otherwise 0: `(4,)` float32 on the device.
        """
        smaller: list[Batch] | None = None
        while True:
            try:
                parts = batches if smaller is None else smaller
                sums = self._accumulated(parts, link_factor, is_retry=smaller is not None)
                sums[3].fill_(smaller is not None)  # an assignment would copy a number and synchronize
                return sums
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or not self._can_retry:
                    raise
                count = len(parts)
                smaller = [half for batch in parts for half in halves(batch)]
                if len(smaller) == count:
                    raise
            # Here, the error and its traceback no longer hold the tensors of the failed pass.
            self._model.zero_grad()
            self._free_memory()
            self._say(f"out of memory in a step: computing it again in {len(smaller)} micro-batches instead of {count}")

    def _accumulated(self, batches: Sequence[Batch], link_factor: Tensor | None, *, is_retry: bool) -> Tensor:
        """Add up the gradients of micro-batches; a retry is neither compiled nor padded, since its shapes are new."""
        sums = torch.zeros(4, device=self._device)
        for number, batch in enumerate(batches):
            # For attention dropout with sdpa, which draws from the generator.
            torch.manual_seed(int(batch.seeds_from(self._seed)[0]))
            batch = batch.seeded(self._seed)
            if self._capacity is not None and not is_retry:
                batch = batch.padded(self._capacity)
            batch = batch.to(self._device)
            with self._gradient_sum.last_pass(number == len(batches) - 1):
                totals = self._forward_backward(batch, number, batch.seeds, link_factor, is_eager=is_retry)
            for place, total in enumerate(totals):
                sums[place] += total
        return sums

    def _free_memory(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        else:
            return_freed_memory()
