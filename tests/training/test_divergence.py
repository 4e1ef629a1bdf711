"""Divergence: a run whose loss explodes goes back, past the data that did it, at a lower rate, and not for ever."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from translator.checkpoint import read_training_state, read_weights
from translator.cli import main
from translator.config import Config, TrainingConfig, to_yaml
from translator.training import trainer
from translator.training.divergence import Divergence, DivergenceError
from translator.training.metrics import StepTotals
from translator.training.trainer import train

Tiny = Callable[..., Config]

# The rate rises until the loss explodes, after step 8. A tenth of it is fine.
RISING = {"learning_rate": 3.0, "warmup_steps": 40, "recovery_rate": 0.1}
OPTIONS = {"max_steps": 24, "clip_norm": 0, "max_skipped_steps": 3, "save_every": 4, "log_every": 4} | RISING
# Too high from the first step on.
AT_ONCE = OPTIONS | {"learning_rate": 1.0, "warmup_steps": 0, "recovery_rate": 0.5}


def progress(run: str | Path) -> dict[str, Any]:
    return read_training_state((Path(run) / "last").resolve())["progress"]


def lines(run: str | Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key != "tokens_per_second"} for line in found]


def assert_same_run(first: str | Path, second: str | Path) -> None:
    states = [read_training_state((Path(run) / "last").resolve()) for run in (first, second)]
    assert states[0]["progress"] == states[1]["progress"] and states[0]["stream"] == states[1]["stream"]
    weights = [read_weights(Path(run) / "last" / "model.safetensors")[0] for run in (first, second)]
    for name in weights[0]:
        assert torch.equal(weights[0][name], weights[1][name]), name
    assert lines(first) == lines(second)


def test_a_loss_that_explodes_returns_the_run_to_the_last_good_checkpoint(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(tiny(training=OPTIONS))
    said = capsys.readouterr().err
    (line,) = [line for line in lines(run) if "recovery" in line]
    step, went_back = int(line["diverged_at"]), int(line["step"])
    assert went_back % 4 == 0 and went_back + 3 <= step < 24
    assert f"diverged at step {step}: going back to step {went_back} with its checkpoint, past the data of" in said
    assert "at 0.1 times the learning rate (recovery 1 of 3)" in said and said.count("diverges: loss") >= 3
    state = read_training_state((run / "last").resolve())
    assert state["progress"]["recoveries"] == 1 and state["progress"]["rate_factor"] == pytest.approx(0.1)
    assert state["stream"]["next_index"] == 24 + step - went_back  # the data that did it are skipped
    last = lines(run)[-2]
    assert last["step"] == 24 and last["learning_rate"] == pytest.approx(0.1 * 3.0 * 24 / 40)
    assert last["loss"] < lines(run)[0]["loss"]
    assert [line["step"] for line in lines(run)] == sorted(line["step"] for line in lines(run))
    assert (run / "last").resolve().name == "step-24"


def test_only_steps_in_a_row_make_a_run_diverge() -> None:
    state = SimpleNamespace(skipped_steps=0, mean_loss=None)
    progress = SimpleNamespace(say=lambda line: None)
    options, nothing = TrainingConfig(max_skipped_steps=3, max_loss_increase=2.0), cast("Any", None)
    divergence = Divergence(
        options, Path(), nothing, cast("Any", state), nothing, cast("Any", progress),
        load_state=nothing, initial_weights=nothing,
    )  # fmt: skip
    skipped = []
    for step, loss in enumerate([5.0, 9.0, math.nan, 5.0, 9.0, 9.0, 9.0, 5.0]):
        assert divergence.has_diverged == (step > 6)
        divergence.count(step, StepTotals(loss, 1, 0, False, 1.0, 0.1))
        skipped.append(state.skipped_steps)
    assert skipped == [0, 1, 2, 0, 1, 2, 3, 3] and state.mean_loss == pytest.approx(5.0)


def test_the_average_of_the_loss_is_that_of_about_the_last_50_steps(tiny: Tiny) -> None:
    run = train(tiny(training={"max_steps": 5, "log_every": 1, "validate_every": 100}))
    first, *losses = [line["loss"] for line in lines(run) if "loss" in line]
    assert len(losses) == 4
    average = first
    for loss in losses:
        average = 0.98 * average + 0.02 * loss
    assert progress(run)["mean_loss"] == pytest.approx(average, rel=1e-4) and abs(average - losses[-1]) > 1e-3


def test_a_run_that_diverges_before_its_first_checkpoint_starts_again(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(tiny(training=AT_ONCE | {"ema_decay": 0.9}))
    said = capsys.readouterr().err
    assert "diverged at step 4: going back to step 0 with the initial weights, past the data of 4 steps" in said
    assert progress(run)["recoveries"] >= 1 and lines(run)[-2]["loss"] < 6


@pytest.mark.parametrize("stop", [10, 13, 18])
def test_a_run_that_diverges_ends_with_the_same_bits_if_it_is_interrupted(tiny: Tiny, stop: int) -> None:
    """Before the divergence, among the steps that diverge, and after the recovery."""
    options = OPTIONS | {"validate_every": 1}  # the end of a run is validated
    train(tiny("whole", training=options))
    train(tiny("halves", training=options | {"max_steps": stop}))
    train(tiny("halves", training=options))
    whole, halves = (tiny(name).output for name in ("whole", "halves"))
    assert progress(halves)["recoveries"] == 1
    assert_same_run(whole, halves)


def test_results_that_are_read_late_lead_to_a_recovery_at_a_report(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA: the host is steps ahead, and goes back where all results are known anyway."""
    monkeypatch.setitem(trainer._STEPS_AHEAD, "cpu", 3)
    options = OPTIONS | {"validate_every": 5}
    run = train(tiny("late", training=options))
    (line,) = [line for line in lines(run) if "recovery" in line]
    assert line["diverged_at"] % 4 == 0 or line["diverged_at"] % 5 == 0
    train(tiny("halved", training=options | {"max_steps": 10}))
    assert_same_run(run, train(tiny("halved", training=options)))


@pytest.mark.parametrize("max_recoveries", [0, 2])
def test_recoveries_are_bounded(tiny: Tiny, tmp_path: Path, max_recoveries: int) -> None:
    config = tiny(training=OPTIONS | {"learning_rate": 1e30, "warmup_steps": 0, "max_recoveries": max_recoveries})
    with pytest.raises(DivergenceError, match=f"Received: 3 steps in a row .* after {max_recoveries} recoveries; the"):
        train(config)
    (tmp_path / "wild.yaml").write_text(to_yaml(config), encoding="utf-8")
    assert main(["train", str(tmp_path / "wild.yaml")]) == 2


def test_a_run_that_cannot_recover_names_its_last_good_checkpoint(tiny: Tiny) -> None:
    config = tiny(training=OPTIONS | {"max_recoveries": 0})
    with pytest.raises(DivergenceError, match=r"max_loss_increase=2 above .*/last is the last good checkpoint"):
        train(config)


def test_single_bad_steps_do_not_send_a_run_back(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tiny(training=OPTIONS | {"max_steps": 12, "max_recoveries": 0}))
    assert "diverges: loss" in capsys.readouterr().err
    assert progress(run)["recoveries"] == 0 and progress(run)["step"] == 12


def test_the_good_checkpoint_outlives_the_newest(tiny: Tiny) -> None:
    """With one checkpoint kept and every later step diverging, the last good one is still there to go back to."""
    options = {"max_loss_increase": 1e-9, "max_skipped_steps": 50, "save_every": 1, "keep_last": 1, "log_every": 1}
    run = train(tiny(training=options | {"learning_rate": 0.5, "warmup_steps": 0, "clip_norm": 0}))
    good = progress(run)["good_step"]
    assert good is not None and (run / "checkpoints" / f"step-{good}" / "training_state.pt").exists()


def test_the_best_checkpoint_of_the_good_state_is_there_after_a_recovery(tiny: Tiny) -> None:
    """A better one came after the good checkpoint, and is gone with the steps that the run went back by."""
    run = train(tiny(training=OPTIONS | {"save_every": 7, "validate_every": 1, "max_steps": 15}))
    assert progress(run)["recoveries"] == 1
    best = (run / "best").resolve()
    assert best.name == f"step-{progress(run)['best_step']}" and (best / "model.safetensors").exists()


@pytest.mark.parametrize("parallel", ["replicate", "shard"])
def test_two_ranks_recover_together(tiny: Tiny, tmp_path: Path, parallel: str) -> None:
    config = tiny("ranks", training=OPTIONS | {"batch_tokens": 96, "max_steps": 20, "parallel": parallel})
    (tmp_path / "ranks.yaml").write_text(to_yaml(config), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", "-m", "translator"]
    subprocess.run(
        [*command, "train", str(tmp_path / "ranks.yaml")],
        check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True,
    )  # fmt: skip
    assert progress(config.output)["recoveries"] >= 1 and progress(config.output)["step"] == 20
