"""Recovery from divergence: back to the last good checkpoint, past the data that led to it, at a lower rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from translator.config import TrainingConfig
from translator.errors import UserError
from translator.training.checkpoints import RunCheckpoints
from translator.training.metrics import Metrics, StepTotals, TrainingProgress
from translator.training.parallel import Ranks
from translator.training.state import TrainingState

_DECAY = 0.98  # of the moving average of the loss: about the last 50 steps


class DivergenceError(UserError):
    """A run whose loss explodes again and again."""


class Divergence:
    """Counts steps that diverge, and returns a run to its last good state.

    A step diverges if its loss or gradient is not finite, or if its loss is far above the moving average of the steps
    that did not. All of this is part of the training state, and the same on all ranks.

    Args:
        options: the options `max_loss_increase`, `max_skipped_steps`, `max_recoveries` and `recovery_rate` are read.
        directory: run directory.
        ranks: ranks of the run.
        state: state of the run.
        checkpoints: checkpoints of the run; only rank 0 uses them.
        progress: display of the run, for messages.
        load_state: function that returns to a training state, given where it is; called by all ranks.
        initial_weights: function that returns the whole weights of step 0; called by all ranks.
    """

    def __init__(
        self,
        options: TrainingConfig,
        directory: Path,
        ranks: Ranks,
        state: TrainingState,
        checkpoints: RunCheckpoints,
        progress: TrainingProgress,
        *,
        load_state: Callable[[dict[str, Any], str], None],
        initial_weights: Callable[[], Mapping[str, Tensor]],
    ) -> None:
        self._options, self._directory, self._ranks, self._state = options, directory, ranks, state
        self._checkpoints, self._progress = checkpoints, progress
        self._load_state, self._initial_weights = load_state, initial_weights
        self._last = ""

    @property
    def has_diverged(self) -> bool:
        """True if `max_skipped_steps` steps in a row diverged: the run must not continue from here."""
        return self._state.skipped_steps >= self._options.max_skipped_steps

    def count(self, step: int, totals: StepTotals) -> None:
        """Count a finished step; once the run has diverged, later steps change nothing."""
        if self.has_diverged:
            return
        state, loss = self._state, totals.loss / max(1, totals.tokens)
        is_exploded = state.mean_loss is not None and loss > state.mean_loss + self._options.max_loss_increase
        if totals.is_finite and not is_exploded:
            state.skipped_steps = 0
            state.mean_loss = loss if state.mean_loss is None else _DECAY * state.mean_loss + (1 - _DECAY) * loss
            return
        state.skipped_steps += 1
        self._last = f"loss {loss:.4g}, gradient norm {totals.norm:.4g}, learning rate {totals.rate:.4g}"
        self._progress.say(f"step {step} {'diverges' if totals.is_finite else 'skipped'}: {self._last}")

    def recover(self, metrics: Metrics | None) -> None:
        """Return to the last good checkpoint, or to the initial weights; keep the position in the data.

        Args:
            metrics: metrics of the run on rank 0, which then continue after the step of the checkpoint.

        Raises:
            DivergenceError: if the run has recovered as often as it may.
        """
        state, options = self._state, self._options
        if state.recoveries >= options.max_recoveries:
            raise DivergenceError(self._failure())
        step, recoveries = state.step, state.recoveries + 1
        rate_factor, stream, good_step = state.rate_factor * options.recovery_rate, state.stream.state_dict(), None
        if state.good_step is None:
            state.restart(self._initial_weights())
        else:
            good_step = state.good_step
            saved, origin = self._ranks.on_main(lambda: self._checkpoints.go_back(good_step))
            self._load_state({**saved, "stream": stream}, origin)
        state.recoveries, state.rate_factor = recoveries, rate_factor
        self._progress.say(
            f"diverged at step {step}: going back to step {state.step} with "
            f"{'its checkpoint' if good_step else 'the initial weights'}, past the data of {step - state.step} steps, "
            f"at {rate_factor:.4g} times the learning rate (recovery {recoveries} of {options.max_recoveries})"
        )
        self._progress.go_back(state.step)
        state.window.start_clock()
        if metrics is not None:
            metrics.go_back(state.step)
            metrics.write(state.step, {"recovery": recoveries, "diverged_at": step, "rate_factor": rate_factor})

    def _failure(self) -> str:
        """Return the message for a run that cannot recover."""
        options, last = self._options, self._directory / "last"
        good = f"{last} is the last good checkpoint." if self._state.good_step else ""
        return (
            f"Training must not diverge. Received: {self._state.skipped_steps} steps in a row whose loss or gradient "
            f"is not finite, or whose loss is more than training.max_loss_increase={options.max_loss_increase:g} above "
            f"its average, after {self._state.recoveries} recoveries; the last with {self._last}. Lower "
            f"training.learning_rate, lengthen training.warmup_steps or lower training.clip_norm. {good}".rstrip()
        )
