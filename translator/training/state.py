"""The state of a run: everything that a checkpoint stores so that training resumes bit for bit.

It contains no random generator: every random draw of training is a function of (seed, batch, row) or of (seed, epoch,
example).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from translator.checkpoint import MOMENTS, CheckpointError, join_state, weights_of
from translator.config import TrainingConfig
from translator.data.steps import StepStream
from translator.errors import UserError
from translator.training.metrics import Window
from translator.training.muon import PARTS
from translator.training.optimizer import WeightAverage, moments_of
from translator.training.parallel import Ranks
from translator.training.sharding import gather, load_weights, part_of


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
        skipped_steps: number of consecutive steps, up to now, that diverged; those that are not finite were skipped.
        good_step: step of the newest regular checkpoint that does not follow a diverging step; None before the first.
        good_best_step: `best_step` of that checkpoint.
        recoveries: number of times that the run went back because it diverged.
        rate_factor: factor on the learning rate, lowered by recoveries.
        mean_loss: moving average of the loss per token of steps that did not diverge; None before the first.
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
    good_step: int | None = None
    good_best_step: int | None = None
    recoveries: int = 0
    rate_factor: float = 1.0
    mean_loss: float | None = None

    def decoding_weights(self) -> dict[str, Tensor]:
        """Return the weights to validate and decode with: the average if there is one. Sharded if the model is."""
        return self.average.weights if self.average else weights_of(self.model)

    def is_out_of_patience(self, options: TrainingConfig) -> bool:
        """Return True if the last `training.patience` validations were no better than the best before them."""
        return bool(options.patience) and self.worse_validations >= options.patience

    def restart(self, weights: Mapping[str, Tensor]) -> None:
        """Return to step 0 with the given weights, but keep the position in the data.

        Args:
            weights: whole initial weights of the model.
        """
        load_weights(self.model, weights, "the initial weights")
        self.optimizer.state.clear()
        if self.average is not None:
            self.average = WeightAverage(dict(self.model.named_parameters()), self.average.decay)
        self.window.reset()
        for name in _PROGRESS:
            setattr(self, name, getattr(type(self), name))

    def state_dict(self, ranks: Ranks) -> dict[str, Any]:
        """Return the state as whole tensors and plain values, on rank 0. Called by all ranks."""
        tensors = gather(self.tensors(), ranks)
        return join_state(self.plain_state(), tensors) if ranks.is_main else {}

    def tensors(self) -> dict[str, Tensor]:
        """Return the large tensors of the state under the names of `join_state`. Sharded if the model is."""
        parameters = dict(self.model.named_parameters())
        found = {f"weights.{name}": weight for name, weight in weights_of(self.model).items()}
        for moment in MOMENTS:
            states = {name: self.optimizer.state.get(parameter, {}) for name, parameter in parameters.items()}
            found |= {f"{moment}.{name}": state[moment] for name, state in states.items() if moment in state}
        if self.average is not None:
            found |= {f"average.{name}": weight for name, weight in self.average.weights.items()}
        return found

    def plain_state(self) -> dict[str, Any]:
        """Return everything but the large tensors, by value."""
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        optimizer = self.optimizer.state_dict()
        steps = {
            number: {name: value.clone() for name, value in state.items() if name not in MOMENTS}
            for number, state in optimizer["state"].items()
        }
        return {
            "parameters": [names[id(parameter)] for parameter in self._optimized()],
            "optimizer": {**optimizer, "state": steps},
            "stream": self.stream.state_dict(),
            "average": self.average and {"updates": self.average.updates},
            "progress": {name: getattr(self, name) for name in _PROGRESS},
            "window": self.window.state_dict(),
        }

    def load_state_dict(
        self, state: dict[str, Any], origin: str, read_shards: Callable[[dict[str, Tensor]], None] | None = None
    ) -> None:
        """Return to the state that `state_dict` returned.

        Args:
            state: training state; those of earlier versions lack `window` and some of the progress.
            origin: path or description of the checkpoint, for error messages.
            read_shards: function that fills given tensors by name, if `state` is a `plain_state`.

        Raises:
            CheckpointError: if the state is incomplete or of another model.
            DataError: if it is of another corpus, seed or batch size.
        """
        try:
            progress = {name: getattr(type(self), name) for name in _LATER} | state["progress"]
            if read_shards is None:
                load_weights(self.model, state["weights"], origin)
            if self.average is not None and state["average"] is not None:
                self.average.updates = state["average"]["updates"]
                for name, weight in self.average.weights.items() if read_shards is None else ():
                    weight.copy_(part_of(state["average"]["weights"][name], weight))
            self._load_optimizer(state["optimizer"], origin, has_moments=read_shards is None)
            if read_shards is not None:
                tensors = self.tensors().items()
                read_shards({name: t for name, t in tensors if state["average"] or not name.startswith("average.")})
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

    def _load_optimizer(self, state: dict[str, Any], origin: str, *, has_moments: bool) -> None:
        """Load the state of the optimizer; without moments, zeros take their place. Its options stay as configured."""
        groups = self.optimizer.param_groups
        if any(PARTS in group for group in groups) != any(PARTS in group for group in state["param_groups"]):
            raise CheckpointError(
                "Training must resume with the optimizer that the run began with. "
                f"Received: {origin}, of another training.optimizer. Set the earlier one, or begin a new run "
                "from these weights with training.start_from and another output."
            )
        placed: dict[int, dict[str, Tensor]] = {}
        optimized = ((parameter, moments_of(group)) for group in groups for parameter in group["params"])
        for number, (parameter, moments) in enumerate(optimized):
            own = state["state"].get(number)
            if own is not None:
                placed[number] = {name: value for name, value in own.items() if name not in MOMENTS} | {
                    name: part_of(own[name], parameter) if has_moments else torch.zeros_like(parameter.detach())
                    for name in moments
                }
        options = [{key: value for key, value in group.items() if key != "params"} for group in groups]
        self.optimizer.load_state_dict({**state, "state": placed})
        for group, own in zip(self.optimizer.param_groups, options, strict=True):
            group.update(own)  # those of the checkpoint may be of another configuration

    def _optimized(self) -> list[nn.Parameter]:
        """Return the parameters in the order of the optimizer."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


# Fields that earlier versions did not store; they have the value of a new run.
_LATER = ("best_step", "good_step", "good_best_step", "recoveries", "rate_factor", "mean_loss")
_PROGRESS = ("step", "target_tokens", "best", "worse_validations", "skipped_steps", *_LATER)
