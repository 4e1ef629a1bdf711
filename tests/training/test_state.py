"""Training states that are incomplete, of an earlier version, or of another form."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from translator.checkpoint import CheckpointError, read_training_state
from translator.config import Config
from translator.tokenizer import Tokenizers
from translator.training.parallel import Ranks
from translator.training.setup import Setup, prepare_corpus
from translator.training.trainer import Trainer, train

Tiny = Callable[..., Config]


@pytest.fixture
def saved(tiny: Tiny) -> tuple[dict[str, Any], Callable[[dict[str, Any]], Trainer]]:
    """The state of a short run, and a function that resumes from a state."""
    config = tiny(training={"max_steps": 4, "log_every": 3, "ema_decay": 0.9})
    run = train(config)
    tokenizers = Tokenizers.load(run)
    corpus = prepare_corpus(config, tokenizers, lambda _: None)

    def resume(state: dict[str, Any]) -> Trainer:
        setup = Setup(tokenizers, corpus, "checkpoints/step-4", copy.deepcopy(state))
        return Trainer(config, run, Ranks(0, 1, torch.device("cpu")), setup)

    return read_training_state(run / "checkpoints" / "step-4"), resume


Saved = tuple[dict[str, Any], Callable[[dict[str, Any]], Trainer]]


def test_a_state_that_lacks_a_key_is_refused_by_name(saved: Saved) -> None:
    state, resume = saved
    assert resume(state).state.step == 4
    for key in ("weights", "optimizer", "stream", "average", "progress"):
        with pytest.raises(
            CheckpointError, match=f"must resume from .* Received: checkpoints/step-4, .* lacks '{key}'"
        ):
            resume({name: value for name, value in state.items() if name != key})
    for key in ("step", "target_tokens", "best", "worse_validations", "skipped_steps"):
        progress = {name: value for name, value in state["progress"].items() if name != key}
        with pytest.raises(CheckpointError, match=f"lacks '{key}'"):
            resume({**state, "progress": progress})


def test_a_state_of_another_form_is_refused(saved: Saved) -> None:
    state, resume = saved
    for key in ("weights", "optimizer", "average", "progress", "window"):
        with pytest.raises(CheckpointError, match="does not have the expected form"):
            resume({**state, key: 3})
    with pytest.raises(CheckpointError, match=r"expected form .*parameter group"):
        resume({**state, "optimizer": {"state": {}, "param_groups": []}})


def test_a_state_of_an_earlier_version_is_resumed_from(saved: Saved) -> None:
    state, resume = saved
    old = {name: value for name, value in state.items() if name != "window"}
    old["progress"] = {name: value for name, value in state["progress"].items() if name != "best_step"}
    trainer = resume(old)
    assert trainer.state.step == 4 and trainer.state.best_step is None


def test_the_totals_since_the_last_report_are_part_of_the_state(saved: Saved) -> None:
    state, resume = saved
    assert state["window"]["steps"] == 1  # step 4; step 3 was reported
    assert resume(state).state.window.state_dict() == state["window"]


def test_the_options_of_the_optimizer_are_those_of_the_configuration(saved: Saved) -> None:
    state, resume = saved
    expected = [(group["weight_decay"], group["betas"], group["eps"]) for group in state["optimizer"]["param_groups"]]
    changed = copy.deepcopy(state)
    for group in changed["optimizer"]["param_groups"]:
        group.update(weight_decay=0.7, betas=(0.5, 0.6), eps=0.1)
    groups = resume(changed).state.optimizer.param_groups
    assert [(group["weight_decay"], group["betas"], group["eps"]) for group in groups] == expected
