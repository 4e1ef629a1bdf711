"""Learning rate schedules."""

from __future__ import annotations

import math

from translator.config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Return the learning rate of optimizer step `step`, counted from 1.

    Linear warm-up to `config.learning_rate`, followed by one of:

    - `inverse_sqrt`: decay with the inverse square root of the step (Vaswani et al., 2017, section 5.3).
    - `cosine`: half a cosine down to `config.final_learning_rate` at the last step.
    - `warmup_stable_decay`: a constant rate, then linear decay over the last `config.decay_share` of the steps (Hu et
      al., 2024, section 4). The length of the run can be changed until the decay begins.
    """
    if step < config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    if config.schedule == "inverse_sqrt":
        return config.learning_rate * math.sqrt(max(1, config.warmup_steps) / max(1, step))
    span = config.learning_rate - config.final_learning_rate
    if config.schedule == "warmup_stable_decay":
        left = (config.max_steps - step) / (config.decay_share * config.max_steps)
        return config.final_learning_rate + span * min(1.0, max(0.0, left))
    progress = min(1.0, (step - config.warmup_steps) / (config.max_steps - config.warmup_steps))
    return config.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2
