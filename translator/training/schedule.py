"""How the learning rate goes over the steps."""

from __future__ import annotations

import math

from translator.config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int) -> float:
    """The rate of optimizer step `step`, counted from 1.

    Linear warm-up to `config.learning_rate`, then down with the inverse square root of the step (Vaswani et al., 2017,
    section 5.3) or along half a cosine to `config.final_learning_rate` at the last step.
    """
    if step < config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    if config.schedule == "inverse_sqrt":
        return config.learning_rate * math.sqrt(max(1, config.warmup_steps) / max(1, step))
    progress = min(1.0, (step - config.warmup_steps) / (config.max_steps - config.warmup_steps))
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2
