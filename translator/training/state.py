"""All that a run is besides its configuration: what a checkpoint keeps so that training goes on bit for bit.

There is no generator in it: every random draw of training is a function of (seed, batch) or (seed, epoch, example).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from translator.checkpoint import set_weights, weights_of
from translator.data.batching import BatchStream
from translator.training.optimizer import WeightAverage


@dataclass
class TrainingState:
    """Where a run stands.

    Attributes:
        model: with the raw weights.
        optimizer: of the model's parameters.
        stream: that training batches come from.
        average: moving average of the weights, where the configuration asks for one.
        step: optimizer steps done.
        target_tokens: real target tokens seen.
        best: best validation result so far; None before the first.
        worse_validations: validations since the best one.
        skipped_steps: steps skipped in a row, up to now, because something was not finite.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    stream: BatchStream
    average: WeightAverage | None
    step: int = 0
    target_tokens: int = 0
    best: float | None = None
    worse_validations: int = 0
    skipped_steps: int = 0

    def decoding_weights(self) -> dict[str, Tensor]:
        """The weights that validate and decode: the average where there is one."""
        return self.average.weights if self.average else weights_of(self.model)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as tensors and plain values."""
        return {
            "weights": weights_of(self.model),
            "optimizer": self.optimizer.state_dict(),
            "stream": self.stream.state_dict(),
            "average": self.average and {"weights": self.average.weights, "updates": self.average.updates},
            "progress": {name: getattr(self, name) for name in _PROGRESS},
        }

    def load_state_dict(self, state: dict[str, Any], origin: str) -> None:
        """Go back to where `state_dict` was taken.

        Args:
            state: what `state_dict` gave.
            origin: where it came from, for messages.

        Raises:
            CheckpointError: it is of another model.
        """
        set_weights(self.model, state["weights"], origin)
        self.optimizer.load_state_dict(state["optimizer"])
        self.stream.load_state_dict(state["stream"])
        if self.average is not None and state["average"] is not None:
            self.average.updates = state["average"]["updates"]
            for name, weight in state["average"]["weights"].items():
                self.average.weights[name].copy_(weight)
        for name in _PROGRESS:
            setattr(self, name, state["progress"][name])


_PROGRESS = ("step", "target_tokens", "best", "worse_validations", "skipped_steps")


def draw_seed(seed: int, batch_index: int) -> int:
    """The seed of every draw that the model makes on one batch: 63 bits."""
    digest = hashlib.blake2b(f"dropout {seed} {batch_index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
