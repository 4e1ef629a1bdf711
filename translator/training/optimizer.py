"""The optimizer and the moving average of the weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from translator.checkpoint import MOMENTS
from translator.config import TrainingConfig
from translator.model.attention import CrossAttention, SelfAttention
from translator.model.layers import FeedForward
from translator.training.muon import PARTS, Muon


def build_optimizer(
    model: nn.Module, config: TrainingConfig, dtype: torch.dtype = torch.float32
) -> torch.optim.Optimizer:
    """Build AdamW (Loshchilov and Hutter, 2019), Adam (Kingma and Ba, 2015) or Muon with AdamW; only matrices decay.

    Args:
        model: model to train.
        config: the options of the optimizer are read.
        dtype: data type of the matrix products of Muon.
    """
    matrices = layer_matrices(model) if config.optimizer == "muon" else {}
    left = {id(matrix) for found in matrices.values() for matrix in found}
    parameters = [parameter for parameter in model.parameters() if id(parameter) not in left]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    adam = kind(groups, lr=config.learning_rate, betas=config.betas, eps=config.epsilon, fused=True)
    if not isinstance(adam, torch.optim.AdamW) or not matrices:
        return adam
    return Muon(matrices, adam, dtype, config.learning_rate, config.weight_decay)


def layer_matrices(model: nn.Module) -> dict[int, list[Tensor]]:
    """Return the matrices of the layers of a model by the number of projections that each holds."""
    found: dict[int, list[Tensor]] = defaultdict(list)
    for module in model.modules():
        if isinstance(module, SelfAttention):
            found[3].append(module.query_key_value_projection.weight)
            found[1].append(module.output_projection.weight)
        elif isinstance(module, CrossAttention):
            found[2].append(module.key_value_projection.weight)
            found[1] += [module.query_projection.weight, module.output_projection.weight]
        elif isinstance(module, FeedForward):
            found[2 if module.is_gated else 1].append(module.inner_projection.weight)
            found[1].append(module.output_projection.weight)
    return dict(sorted(found.items()))


def moments_of(group: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the tensors that an optimizer keeps for each parameter of one of its groups."""
    return MOMENTS[:1] if PARTS in group else MOMENTS


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def step_unless(optimizer: torch.optim.Optimizer, is_bad: Tensor) -> None:
    """Take an optimizer step that leaves weights and moments unchanged if `is_bad`, without synchronization.

    Args:
        optimizer: a fused Adam or AdamW, or Muon, which read the attribute `found_inf` as `torch.amp.GradScaler` sets
            it.
        is_bad: a bool scalar on the device.
    """
    optimizer.found_inf = is_bad.float()  # type: ignore[attr-defined]
    optimizer.step()


class WeightAverage:
    """Exponential moving average of the weights, used to validate and decode if it is enabled.

    The decay grows with the number of updates, so that the first weights are soon forgotten.

    Args:
        weights: tensors by name; copied.
        decay: decay after many updates.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {name: weight.detach().clone() for name, weight in weights.items()}

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Move the average towards `weights` by one update."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.weights.values()), [weights[name] for name in self.weights], 1 - decay)
