"""The optimizer, gradient scaling and clipping, and the moving average of weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from translator.config import TrainingConfig


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) or Adam (Kingma and Ba, 2015); only matrices decay."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate, betas=config.betas, eps=config.epsilon, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The same rate for every parameter."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def scale_and_clip(gradients: Iterable[Tensor], scale: Tensor, clip_norm: float) -> Tensor:
    """Multiply gradients by `scale`, then clip their joint norm, in one pass over them.

    Args:
        gradients: changed in place.
        scale: a float32 scalar: one over the number of tokens that the gradients sum over.
        clip_norm: largest norm; 0 is no clipping.

    Returns:
        The norm after scaling and before clipping, a float32 scalar.
    """
    gradients = list(gradients)
    norm = torch.nn.utils.get_total_norm(gradients) * scale
    if clip_norm:
        scale = scale * (clip_norm / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, scale)
    return norm


def step_unless(optimizer: torch.optim.Optimizer, is_bad: Tensor) -> None:
    """An optimizer step that leaves weights and moments as they are where `is_bad`; the host does not wait to know.

    Args:
        optimizer: a fused Adam or AdamW, which reads the attribute `found_inf` as `torch.amp.GradScaler` sets it.
        is_bad: a bool scalar on the device.
    """
    optimizer.found_inf = is_bad.float()  # type: ignore[attr-defined]
    optimizer.step()


class WeightAverage:
    """Exponential moving average of the weights: what validates and decodes when it is on.

    The decay grows from nothing with the number of updates, so that the first weights do not linger.

    Args:
        weights: by name; copied.
        decay: in the long run.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {name: weight.detach().clone() for name, weight in weights.items()}

    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Move the average a little towards these weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.weights.values()), [weights[name] for name in self.weights], 1 - decay)
