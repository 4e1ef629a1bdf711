"""Messages of a run that begins, ends or runs out of memory."""

from __future__ import annotations

from pathlib import Path

import torch
from tqdm import tqdm

from translator.config import TrainingConfig
from translator.training.memory import format_bytes, peak_memory
from translator.training.state import TrainingState


def beginning(state: TrainingState, options: TrainingConfig) -> str | None:
    """Return the line that names the step from which a run resumes; None if it is new or has run out of patience."""
    if state.step >= options.max_steps:
        return (
            f"this run finished after step {state.step}. To train longer, raise training.max_steps={options.max_steps}"
        )
    if state.step and not state.is_out_of_patience(options):
        return f"resuming from step {state.step} of {options.max_steps}"
    return None


def early_stop(state: TrainingState, options: TrainingConfig) -> str:
    """Return the line that reports early stopping."""
    best = "" if state.best is None else f", the best was {state.best:.4g}"
    best += "" if state.best_step is None else f" at step {state.best_step}"
    return (
        f"stopped early at step {state.step} of {options.max_steps}, because valid {options.metric} has not "
        f"improved in training.patience={options.patience} validations{best}"
    )


def summary(
    state: TrainingState, options: TrainingConfig, device: torch.device, seconds: float, target_tokens: int
) -> str:
    """Return the best result of a finished run, and what this process took.

    Args:
        state: state after the last step.
        options: the option `metric` is read.
        device: device of rank 0, whose peak memory is shown.
        seconds: time that this process took.
        target_tokens: target tokens that it trained on, with those of the other ranks.
    """
    best = ""
    if state.best is not None:
        best = f", best valid {options.metric} {state.best:.4g} at step {state.best_step}"
    peak = peak_memory(device)
    return (
        f"finished at step {state.step}{best}; {state.target_tokens:,} target tokens; "
        f"this process: {tqdm.format_interval(seconds)}, {target_tokens / seconds:,.0f} target tokens/s with "
        f"validation{f', peak memory {format_bytes(peak)}' if peak else ''}"
    )


def too_large_to_begin() -> str:
    """Return the message for memory that ran out before the first step."""
    return "Out of memory while preparing data or model. Free memory, or use less data or a smaller model."


def too_large(options: TrainingConfig, run: Path) -> str:
    """Return the message for a step that does not fit in memory, not even one example at a time."""
    last = f"{run / 'last'} is the last good checkpoint." if (run / "last").exists() else "Nothing was saved yet."
    return (
        f"Out of memory in a training step with training.batch_tokens={options.batch_tokens}, even with one example at "
        f"a time. Use a smaller model or vocabulary, lower model.max_positions, or free memory. {last}"
    )
