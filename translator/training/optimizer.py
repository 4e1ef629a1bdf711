"""The optimizer and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from translator.config import TrainingConfig


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Build AdamW (Loshchilov and Hutter, 2019) or Adam (Kingma and Ba, 2015); only matrices decay."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate, betas=config.betas, eps=config.epsilon, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def step_unless(optimizer: torch.optim.Optimizer, is_bad: Tensor) -> None:
    """Take an optimizer step that leaves weights and moments unchanged if `is_bad`, without synchronization.

    Args:
        optimizer: a fused Adam or AdamW, which reads the attribute `found_inf` as `torch.amp.GradScaler` sets it.
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
