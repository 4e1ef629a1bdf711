"""Reports of a run: metrics.jsonl, reporters, and progress on the terminal."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor
from tqdm import tqdm

from translator.atomic_io import atomic_write, naming
from translator.training.reporters import Reporter


@dataclass(frozen=True)
class StepTotals:
    """Totals of one optimizer step over all its micro-batches and ranks.

    Attributes:
        loss: loss summed over target tokens, in nats.
        tokens: number of real target tokens.
        retries: number of ranks that computed the step again in halves, because memory ran out.
        must_stop: whether a rank received a signal to stop.
        norm: norm of the gradient before clipping.
        rate: learning rate.
        alignment_loss: loss of guided alignment summed over linked tokens, in nats, without its weight.
        linked_tokens: number of target tokens that have links.
    """

    loss: float
    tokens: int
    retries: int
    must_stop: bool
    norm: float
    rate: float
    alignment_loss: float = 0.0
    linked_tokens: int = 0

    @property
    def is_finite(self) -> bool:
        """True if loss and gradient are finite; otherwise the step was skipped."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


class StepResult:
    """Totals of a step that are being copied from the device.

    Args:
        step: number of the step.
        rate: learning rate.
        numbers: loss, target tokens, alignment loss, retries, requests to stop, linked tokens, gradient norm: `(7,)`
            float32 on the device.
    """

    def __init__(self, step: int, rate: float, numbers: Tensor) -> None:
        self.step = step
        self._rate = rate
        self._numbers = numbers.to("cpu", non_blocking=True)
        self._arrived: torch.cuda.Event | None = None
        if numbers.is_cuda:
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def totals(self) -> StepTotals:
        """Return the totals; synchronizes with the device if they have not arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        loss, tokens, alignment, retries, stop, linked, norm = self._numbers.tolist()
        return StepTotals(loss, int(tokens), int(retries), bool(stop), norm, self._rate, alignment, int(linked))


class StepResultQueue:
    """Queue of step results, read `steps_ahead` steps late to avoid synchronization.

    Args:
        steps_ahead: maximum number of unread results; 0 reads each result at once.
    """

    def __init__(self, steps_ahead: int) -> None:
        self._steps_ahead = steps_ahead
        self._results: deque[StepResult] = deque()

    def add(self, result: StepResult) -> None:
        """Append the result of the newest step."""
        self._results.append(result)

    def due(self) -> Iterator[StepResult]:
        """Remove and yield the results that must be read now, oldest first."""
        while len(self._results) > self._steps_ahead:
            yield self._results.popleft()

    def rest(self) -> Iterator[StepResult]:
        """Remove and yield all results, oldest first."""
        while self._results:
            yield self._results.popleft()


class Window:
    """Totals of the steps since the last report. They are part of a checkpoint; the time is not."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a new window."""
        self._steps = 0
        self._loss = 0.0
        self._norm = 0.0
        self._tokens = 0
        self._rate = 0.0
        self._retries = 0
        self._alignment_loss = 0.0
        self._linked_tokens = 0
        self.start_clock()

    def start_clock(self) -> None:
        """Measure speed from now on."""
        self._timed_tokens = 0
        self._started = time.monotonic()

    def add(self, totals: StepTotals) -> None:
        """Count one step."""
        self._steps += 1
        self._loss += totals.loss
        self._norm += totals.norm
        self._tokens += totals.tokens
        self._rate = totals.rate
        self._retries += totals.retries
        self._alignment_loss += totals.alignment_loss
        self._linked_tokens += totals.linked_tokens
        self._timed_tokens += totals.tokens

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time of a block, such as validation."""
        paused = time.monotonic()
        yield
        self._started += time.monotonic() - paused

    def summary(self) -> dict[str, float]:
        """Return loss per token in nats, mean gradient norm, last learning rate, real target tokens per second.

        `alignment_loss`, the loss of guided alignment per linked token in nats, without its weight, is there if tokens
        had links. `memory_retries`, steps of a rank that were computed again in halves, is there if there were any.
        """
        retries = {"memory_retries": self._retries} if self._retries else {}
        linked = self._linked_tokens
        alignment = {"alignment_loss": self._alignment_loss / linked} if linked else {}
        return {
            "loss": self._loss / self._tokens,
            **alignment,
            "gradient_norm": self._norm / self._steps,
            "learning_rate": self._rate,
            "tokens_per_second": self._timed_tokens / (time.monotonic() - self._started),
            **retries,
        }

    def state_dict(self) -> dict[str, float]:
        """Return the totals as plain numbers."""
        return {name: getattr(self, f"_{name}") for name in _WINDOW_TOTALS}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Continue a window from the totals that `state_dict` returned."""
        self.reset()
        for name in _WINDOW_TOTALS:
            setattr(self, f"_{name}", state.get(name, 0))  # earlier versions stored the first five alone


_WINDOW_TOTALS = ("steps", "loss", "norm", "tokens", "rate", "retries", "alignment_loss", "linked_tokens")


def shown_metrics(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values of `Window.summary` that the progress shows, under their short names."""
    names = {"loss": "loss", "alignment_loss": "alignment", "tokens_per_second": "tokens/s"}
    return {name: values[key] for key, name in names.items() if key in values}


class Metrics:
    """Writer for `metrics.jsonl` and reporters. Resuming discards later entries.

    Args:
        run: run directory.
        step: step that the run continues from.
        reporters: reporters, at the same step.
    """

    def __init__(self, run: Path, step: int, reporters: Sequence[Reporter]) -> None:
        self._path = run / "metrics.jsonl"
        self._reporters = reporters
        self._file = self._opened(step)

    def go_back(self, step: int) -> None:
        """Continue after an earlier step, and discard later entries."""
        self._file.close()
        self._file = self._opened(step)
        for reporter in self._reporters:
            reporter.go_back(step)

    def _opened(self, step: int) -> TextIO:
        """Return the file, cut back to a step."""
        if self._path.exists():
            lines = self._path.read_bytes().splitlines(keepends=True)
            atomic_write(self._path, b"".join(line for line in lines if _is_up_to(line, step)))
        return self._path.open("a", encoding="utf-8")

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Write values of one step."""
        with naming(self._path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        numbers = {key.replace("_", "/", 1): value for key, value in values.items() if isinstance(value, (int, float))}
        for reporter in self._reporters:
            reporter.write(step, numbers)

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
        for reporter in self._reporters:
            reporter.close()


def _is_up_to(line: bytes, step: int) -> bool:
    """Return True if a line is complete and not written again by a run that continues from a step.

    A killed run may leave half a line. The checkpoint of a step is written after its validation, but before the
    validation of the average at the end.
    """
    try:
        values = json.loads(line)
        return bool(values["step"] <= step) and not any(name.startswith("average_") for name in values)
    except (ValueError, KeyError, TypeError):
        return False


class TrainingProgress:
    """Progress on standard error: a bar on a terminal, plain lines elsewhere, nothing on ranks other than 0.

    Args:
        first_step: number of steps already done.
        max_steps: total number of steps.
        is_shown: whether to show anything.
    """

    def __init__(self, first_step: int, max_steps: int, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._first_step = first_step
        self._max_steps = max_steps
        self._started = time.monotonic()
        self._bar: tqdm[Any] | None = None
        if is_shown and sys.stderr.isatty():
            self._bar = tqdm(initial=first_step, total=max_steps, unit="step", dynamic_ncols=True)

    def advance(self) -> None:
        """Count one step."""
        if self._bar is not None:
            self._bar.update()

    def report(self, step: int, values: dict[str, Any]) -> None:
        """Show the values of a step."""
        shown = "  ".join(f"{name} {_format(value)}" for name, value in values.items())
        if self._bar is not None:
            self._bar.set_postfix_str(shown)
        else:
            self.say(f"step {step}/{self._max_steps}  {shown}  left {self._time_left(step)}")

    def say(self, line: str) -> None:
        """Show a line, above the bar if there is one."""
        if self._is_shown:
            tqdm.write(line, file=sys.stderr)
            sys.stderr.flush()

    def go_back(self, step: int) -> None:
        """Continue from an earlier step."""
        self._first_step, self._started = step, time.monotonic()
        if self._bar is not None:
            self._bar.n = step
            self._bar.refresh()

    def close(self) -> None:
        """Close the bar and leave it visible."""
        if self._bar is not None:
            self._bar.close()

    def _time_left(self, step: int) -> str:
        done = step - self._first_step
        seconds = (time.monotonic() - self._started) / max(1, done) * (self._max_steps - step)
        return str(tqdm.format_interval(seconds))


def _format(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
