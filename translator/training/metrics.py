"""What a run reports: metrics.jsonl, TensorBoard, and progress for a person."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from translator.atomic_io import write_whole


@dataclass(frozen=True)
class StepTotals:
    """One optimizer step, summed over all its micro-batches and ranks.

    Attributes:
        loss: summed over target tokens, in nats.
        tokens: real target tokens.
        must_stop: whether a rank was asked to stop.
        norm: of the gradient, before clipping.
        rate: learning rate.
    """

    loss: float
    tokens: int
    must_stop: bool
    norm: float
    rate: float

    @property
    def is_finite(self) -> bool:
        """Whether the weights could move; otherwise the step was skipped."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


class StepResult:
    """What a step came to, on its way from the device.

    Args:
        step: its number.
        rate: learning rate.
        numbers: loss, target tokens, requests to stop, gradient norm: `(4,)` float32 on the device.
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
        """The numbers; waits until the device has come to them."""
        if self._arrived is not None:
            self._arrived.synchronize()
        loss, tokens, stop, norm = self._numbers.tolist()
        return StepTotals(loss, int(tokens), bool(stop), norm, self._rate)


class LateResults:
    """Results in the order of their steps, read so late that nobody waits for them.

    Args:
        steps_ahead: how many steps may be under way; 0 reads each at once.
    """

    def __init__(self, steps_ahead: int) -> None:
        self._steps_ahead = steps_ahead
        self._results: deque[StepResult] = deque()

    def add(self, result: StepResult) -> None:
        """A step is under way."""
        self._results.append(result)

    def due(self) -> Iterator[StepResult]:
        """The results that are to be read now."""
        while len(self._results) > self._steps_ahead:
            yield self._results.popleft()

    def rest(self) -> Iterator[StepResult]:
        """All others too."""
        while self._results:
            yield self._results.popleft()


class Window:
    """Steps since the last report; time spent on validation and saving does not count."""

    def __init__(self) -> None:
        self._steps: list[StepTotals] = []
        self._started = time.monotonic()

    def add(self, totals: StepTotals) -> None:
        """Count one step."""
        self._steps.append(totals)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock."""
        paused = time.monotonic()
        yield
        self._started += time.monotonic() - paused

    def summary(self) -> dict[str, float]:
        """Loss per token in nats, mean gradient norm, last learning rate, real target tokens per second."""
        tokens = sum(step.tokens for step in self._steps)
        return {
            "loss": sum(step.loss for step in self._steps) / tokens,
            "gradient_norm": sum(step.norm for step in self._steps) / len(self._steps),
            "learning_rate": self._steps[-1].rate,
            "tokens_per_second": tokens / (time.monotonic() - self._started),
        }


class Metrics:
    """Numbers by step, in `metrics.jsonl` and for TensorBoard; opened at a step, it forgets what came after that step.

    Args:
        run: the run directory.
        step: that the run continues from.
    """

    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        path = run / "metrics.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_whole(path, "".join(line for line in lines if _is_up_to(line, step)))
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Record values of one step."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            if isinstance(value, (int, float)):
                self._board.add_scalar(name.replace("_", "/", 1), value, step)

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
        self._board.close()


def _is_up_to(line: str, step: int) -> bool:
    """Whether a line is whole (a killed run may leave half a line) and is not made again from this step on.

    The checkpoint of a step is written after its validation, and before the average at the end.
    """
    try:
        values = json.loads(line)
        return bool(values["step"] <= step) and not any(name.startswith("average_") for name in values)
    except (ValueError, KeyError, TypeError):
        return False


class Progress:
    """A bar with loss, speed and time left on a terminal; plain lines elsewhere; nothing on other ranks than the first.

    Args:
        first_step: steps that are already done.
        max_steps: steps in all.
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
        """One step is done."""
        if self._bar is not None:
            self._bar.update()

    def report(self, step: int, values: dict[str, Any]) -> None:
        """Show values of a step."""
        shown = "  ".join(f"{name} {_format(value)}" for name, value in values.items())
        if self._bar is not None:
            self._bar.set_postfix_str(shown)
        else:
            self.say(f"step {step}/{self._max_steps}  {shown}  left {self._time_left(step)}")

    def say(self, line: str) -> None:
        """Show a line, above the bar where there is one."""
        if self._is_shown:
            tqdm.write(line, file=sys.stderr)
            sys.stderr.flush()

    def close(self) -> None:
        """Leave the bar as it is."""
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
