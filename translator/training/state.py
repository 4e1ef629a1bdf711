"""The state of a run: everything that a checkpoint stores so that training resumes bit for bit.

It contains no random generator: every random draw of training is a function of (seed, batch, row) or of (seed, epoch,
example).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from translator.checkpoint import CheckpointError
from translator.data.steps import StepStream
from translator.errors import UserError
from translator.training.metrics import Window
from translator.training.optimizer import WeightAverage
from translator.training.parallel import full_weights, load_weights


@dataclass
class TrainingState:
    """The state of a run after some optimizer step.

    Attributes:
        model: model with the raw weights.
        optimizer: optimizer of its parameters.
        stream: stream of optimizer steps.
        average: moving average of the weights, if the configuration asks for one.
        window: totals since the last report.
        step: number of optimizer steps done.
        target_tokens: number of real target tokens seen.
        best: best validation result so far; None before the first.
        best_step: step of that result; None before the first.
        worse_validations: number of validations since the best one.
        skipped_steps: number of consecutive steps, up to now, that were skipped because they were not finite.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    stream: StepStream
    average: WeightAverage | None
    window: Window = field(default_factory=Window)
    step: int = 0
    target_tokens: int = 0
    best: float | None = None
    best_step: int | None = None
    worse_validations: int = 0
    skipped_steps: int = 0

    def decoding_weights(self) -> dict[str, Tensor]:
        """Return the weights to validate and decode with: the average if there is one."""
        return self.average.weights if self.average else full_weights(self.model)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain values."""
        return {
            "weights": full_weights(self.model),
            "optimizer": self.optimizer.state_dict(),
            "stream": self.stream.state_dict(),
            "average": self.average and {"weights": self.average.weights, "updates": self.average.updates},
            "progress": {name: getattr(self, name) for name in _PROGRESS},
            "window": self.window.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], origin: str) -> None:
        """Return to the state that `state_dict` returned.

        Args:
            state: training state; those of earlier versions lack `window` and `best_step`.
            origin: where the state comes from, for error messages.

        Raises:
            CheckpointError: if the state is incomplete or of another model.
            DataError: if it is of another corpus, seed or batch size.
        """
        try:
            progress = {"best_step": None, **state["progress"]}
            load_weights(self.model, state["weights"], origin)
            if self.average is not None and state["average"] is not None:
                self.average.updates = state["average"]["updates"]
                for name, weight in self.average.weights.items():
                    weight.copy_(state["average"]["weights"][name])
            self.optimizer.load_state_dict(state["optimizer"])
            self.stream.load_state_dict(state["stream"])
            if "window" in state:
                self.window.load_state_dict(state["window"])
            for name in _PROGRESS:
                setattr(self, name, progress[name])
        except UserError:
            raise
        except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else f"does not have the expected form ({error})"
            raise CheckpointError(
                f"Training must resume from a complete training state. Received: {origin}, which {what}. "
                "Delete this checkpoint to resume from an older one, or choose another output."
            ) from error


_PROGRESS = ("step", "target_tokens", "best", "best_step", "worse_validations", "skipped_steps")
