"""Forecast of the memory that training needs, from passes over a fraction of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from translator.config import TrainingConfig
from translator.data.batch import Batch
from translator.data.batching import pack_chunk
from translator.data.examples import Chunk, Examples
from translator.model import Model
from translator.training.forward_backward import ForwardBackward
from translator.training.memory import current_memory, peak_memory, reset_peak_memory, return_freed_memory
from translator.training.muon import stack_bytes
from translator.training.optimizer import build_optimizer, layer_matrices, moments_of

BYTES_PER_NUMBER = 4  # master weights, gradients and moments are float32
_PARTS = (16, 4, 2)  # one sixteenth of a batch, a quarter, a half
# With batches of different sizes, the heap of a CPU run grows by this factor in the first hundred steps (measured).
_HEAP_GROWTH = 1.5
# Code that oneDNN generates for bfloat16 on the CPU, with the caches of `bound_primitive_caches` full (measured).
_GENERATED_CODE = 300 << 20


@dataclass(frozen=True)
class MemoryForecast:
    """Peak memory of a training step in bytes.

    Attributes:
        base: memory of the process without a model: Python, torch, the corpus, generated code; 0 on a GPU.
        weights: parameters and their moving average.
        optimizer: moments of the optimizer.
        step: maximum of gradients, activations and temporary buffers of a forward and backward pass, and the temporary
            tensors of Muon.
    """

    base: int
    weights: int
    optimizer: int
    step: int

    @property
    def total(self) -> int:
        """Everything together."""
        return self.base + self.weights + self.optimizer + self.step


def weights_and_optimizer(model: nn.Module, options: TrainingConfig) -> tuple[int, int]:
    """Return the bytes of weights with their average, and of the moments of the optimizer, all in float32."""
    weights = _bytes(model.parameters())
    groups = build_optimizer(model, options).param_groups
    moments = sum(len(moments_of(group)) * _bytes(group["params"]) for group in groups)
    return weights * (2 if options.ema_decay else 1), moments


def _bytes(parameters: Iterable[Tensor]) -> int:
    return BYTES_PER_NUMBER * sum(parameter.numel() for parameter in parameters)


def forecast_memory(
    model: Model, corpus: Examples, options: TrainingConfig, dtype: torch.dtype, seed: int, limit: int | None = None
) -> MemoryForecast | None:
    """Predict the peak memory of training from passes over parts of a batch, up to a half.

    Args:
        model: model in training mode on the device of training, without gradients; they are None afterwards.
        corpus: training corpus, whose first examples are used.
        options: the options of training; `batch_tokens`, a number, is what the forecast is for.
        dtype: data type of activations.
        seed: seed of the order of the corpus.
        limit: bytes that may be in use; a part that would probably need more is not computed.

    Returns:
        The forecast; None if the system does not report peak memory.
    """
    forecast_of = forecast_batches(model, corpus, options, dtype, seed, limit)
    return None if forecast_of is None else forecast_of(_number(options))


def forecast_batches(
    model: Model, corpus: Examples, options: TrainingConfig, dtype: torch.dtype, seed: int, limit: int | None
) -> Callable[[int], MemoryForecast] | None:
    """Return the forecast as a function of the tokens of a batch, from passes over parts of one.

    Activations grow in proportion to the tokens of a batch; the rest of the peak does not depend on it. Arguments as in
    `forecast_memory`; parts of a batch of `options.batch_tokens` are measured.
    """
    device = next(model.parameters()).device
    weights, optimizer = weights_and_optimizer(model, options)
    points = _measure(model, corpus, options, dtype, seed, limit)
    model.zero_grad()
    return_freed_memory()
    if not points:
        return None
    growth = _HEAP_GROWTH if device.type == "cpu" else 1.0
    gradients = _bytes(model.parameters())
    stack = stack_bytes(layer_matrices(model), dtype) if options.optimizer == "muon" else 0
    base = max(0, (current_memory(device) or 0) - weights) if device.type == "cpu" else 0
    if device.type == "cpu" and dtype == torch.bfloat16:
        base += _GENERATED_CODE
    accumulates = options.accumulation > 1 or options.step_tokens is not None

    def forecast_of(batch_tokens: int) -> MemoryForecast:
        whole = sum(corpus.objective.budgets(batch_tokens, corpus.length_ratio))
        activations = round(growth * _extrapolated(points, whole))
        # Activations are freed while the first gradients of a step are created; those of further micro-batches add up.
        step = gradients + activations if accumulates else max(gradients, activations)
        step += stack  # which does not fit into the gaps that activations leave on the heap (measured)
        return MemoryForecast(base, weights, optimizer, step)

    return forecast_of


def _number(options: TrainingConfig) -> int:
    """Return the tokens of a micro-batch, which must have been chosen if they are `auto`."""
    assert options.batch_tokens != "auto"
    return options.batch_tokens


def _measure(
    model: Model, corpus: Examples, options: TrainingConfig, dtype: torch.dtype, seed: int, limit: int | None
) -> list[tuple[int, int]]:
    """Return the tokens of some parts of a batch, and the bytes that a pass over each takes besides gradients.

    It is empty if the system does not report peak memory.
    """
    device = next(model.parameters()).device
    options = options.model_copy(update={"cuda_graphs": False})
    forward_backward = ForwardBackward(model, options, dtype, static_shapes=False)
    parts = [(tokens, part.seeded(seed).to(device)) for tokens, part in _parts(corpus, _number(options), seed)]
    link_factor = torch.ones((), device=device) if parts[0][1].links is not None else None
    # The first pass loads libraries, compiles and creates the gradients, which stay where they are.
    forward_backward(parts[0][1], 0, parts[0][1].seeds, link_factor)
    points: list[tuple[int, int]] = []
    for number, (tokens, batch) in enumerate(parts, 1):
        if not reset_peak_memory(device):
            return []
        before = current_memory(device)
        if before is None:
            return []
        if limit is not None and points and before + points[-1][1] * tokens / points[-1][0] > limit:
            break
        forward_backward(batch, number, batch.seeds, link_factor)
        points.append((tokens, (peak_memory(device) or before) - before))
    return points


def _extrapolated(points: Sequence[tuple[int, int]], tokens: int) -> float:
    """Return the value of the line through the last two points, or from zero through the only one."""
    more, high = points[-1]
    fewer, low = points[-2] if len(points) > 1 else (0, 0)
    return low + max(0.0, (high - low) / (more - fewer)) * (tokens - fewer)


def _parts(corpus: Examples, batch_tokens: int, seed: int) -> list[tuple[int, Batch]]:
    """Return a sixteenth, a quarter and a half of a batch, each with its number of source and target tokens."""
    budgets = corpus.objective.budgets(batch_tokens, corpus.length_ratio)
    reader = corpus.read(seed, budgets, workers=0)
    sizes = [sum(budgets) // part for part in _PARTS]
    chunk = Chunk.empty(corpus.objective.specials)
    while len(chunk) < len(sizes) or sum(int(lengths.sum()) for lengths in chunk.lengths) < sizes[-1]:
        chunk = chunk.append(next(reader))
    reader.close()
    ends = np.cumsum(chunk.lengths[0] + chunk.lengths[1])
    parts: list[tuple[int, Batch]] = []
    count = 0
    for size in sizes:
        count = max(count + 1, int(np.searchsorted(ends, size, side="right")))  # more examples in each part
        examples = chunk.take(np.arange(count))
        parts.append((int(ends[count - 1]), pack_chunk(corpus.objective, 0, examples)))
    return parts
