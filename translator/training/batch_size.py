"""The largest micro-batch that fits the device, for `training.batch_tokens: auto`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import torch

from translator.config import TrainingConfig
from translator.data.examples import Examples
from translator.errors import UserError
from translator.model import Model
from translator.training.memory import available_memory, current_memory, format_bytes
from translator.training.memory_forecast import forecast_batches

_USABLE = 0.9  # of the memory, by the forecast: its error and fragmentation need the rest
_MEASURED_TOKENS = 8192  # of the batch whose parts are measured


class BatchSizeError(UserError):
    """A micro-batch that cannot be chosen for this device."""


def choose_batch_tokens(
    model: Model,
    corpus: Examples,
    options: TrainingConfig,
    dtype: torch.dtype,
    seed: int,
    world_size: int,
    say: Callable[[str], None],
) -> int:
    """Return the tokens of the largest micro-batch whose forecast of memory fits the device.

    The tokens of a step and rank are divided evenly among as few micro-batches as possible.

    Args:
        model: model in training mode on its device, without gradients.
        corpus: training corpus.
        options: options of training, with `step_tokens`.
        dtype: data type of activations.
        seed: random seed of the run.
        world_size: number of ranks.
        say: function that shows a line.

    Raises:
        BatchSizeError: if memory cannot be measured, or not even one example fits.
    """
    assert options.step_tokens is not None
    device = next(model.parameters()).device
    available = available_memory(device)
    share = math.ceil(options.step_tokens / world_size)
    if available is None:
        raise _cannot_measure()
    if device.type == "cpu":  # the ranks of this machine share it
        available //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    limit = int(_USABLE * (available + (current_memory(device) or 0)))
    measured = options.model_copy(update={"batch_tokens": min(share, _MEASURED_TOKENS)})
    forecast_of = forecast_batches(model, corpus, measured, dtype, seed, limit)
    if forecast_of is None:
        raise _cannot_measure()
    smallest = min(share, corpus.max_positions)
    tokens, count = share, 1
    while (forecast := forecast_of(tokens)).total > limit:
        if tokens == smallest:
            raise BatchSizeError(
                f"A training step must fit into memory. Received: {format_bytes(forecast.total)} predicted for a "
                f"micro-batch of {tokens} tokens, and {format_bytes(limit)} usable. Use a smaller model or a lower "
                "model.max_positions, or free memory."
            )
        count += 1
        # An example that no longer fits opens the next micro-batch, so that some are not quite full.
        tokens = max(smallest, min(share, math.ceil(share / count) + corpus.max_positions // 2))
    say(
        f"training.batch_tokens=auto: {tokens} tokens, {count} micro-batches per step and rank; "
        f"{format_bytes(forecast.total)} predicted, {format_bytes(limit)} usable"
    )
    return tokens


def _cannot_measure() -> BatchSizeError:
    return BatchSizeError(
        "training.batch_tokens: auto requires a system that reports available and peak memory. Set a number."
    )
