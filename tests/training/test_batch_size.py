"""`training.batch_tokens: auto`: the largest micro-batch that the forecast of memory allows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from translator.checkpoint import read_training_state
from translator.config import Config, ConfigError
from translator.training import batch_size
from translator.training.memory import current_memory
from translator.training.trainer import train

Tiny = Callable[..., Config]
AUTO = {"step_tokens": 1200, "batch_tokens": "auto", "max_steps": 4}
CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs the /proc of Linux")


def test_a_step_that_fits_is_one_micro_batch(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tiny(training=AUTO))
    assert "training.batch_tokens=auto: 1200 tokens, 1 micro-batches per step and rank" in capsys.readouterr().err
    assert read_training_state(run / "last")["batch_tokens"] == 1200
    assert "batch_tokens: auto" in (run / "config.yaml").read_text()


def test_a_step_that_does_not_fit_is_split_evenly_and_a_resumed_run_keeps_the_split(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The memory of the machine is made to seem smaller than the forecast for the whole step."""
    model = {"d_ff": 16384}
    free = batch_size.available_memory
    monkeypatch.setattr(batch_size, "_USABLE", 1.0)
    monkeypatch.setattr(batch_size, "available_memory", lambda _: 500 << 20)
    run = train(tiny(model=model, training=AUTO | {"max_steps": 2}))
    said = capsys.readouterr().err
    tokens = read_training_state(run / "last")["batch_tokens"]
    found = re.search(
        r"auto: (\d+) tokens, (\d+) micro-batches per step and rank; ([\d,]+) MiB predicted, ([\d,]+)", said
    )
    assert found is not None and int(found[1]) == tokens < 1200 and int(found[2]) > 1
    assert int(found[3].replace(",", "")) <= int(found[4].replace(",", ""))
    monkeypatch.setattr(batch_size, "available_memory", free)
    train(tiny(model=model, training=AUTO | {"max_steps": 4}))
    assert read_training_state(run / "last")["batch_tokens"] == tokens
    assert "auto:" not in capsys.readouterr().err
    train(tiny(model=model, training=AUTO | {"batch_tokens": 600, "max_steps": 5}))  # changes only the split
    assert read_training_state(run / "last")["batch_tokens"] == 600


def test_memory_for_less_than_one_example_is_refused(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "available_memory", lambda _: -(current_memory(CPU) or 0) + (1 << 20))
    with pytest.raises(
        batch_size.BatchSizeError, match=r"A training step must fit into memory\. Received: .* 64 tokens"
    ):
        train(tiny(training=AUTO))


@pytest.mark.parametrize("name", ["available_memory", "forecast_batches"])
def test_a_system_without_measurements_needs_a_number(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(batch_size, name, lambda *_: None)
    with pytest.raises(batch_size.BatchSizeError, match="auto requires a system that reports available and peak mem"):
        train(tiny(training=AUTO))


def test_the_ranks_of_a_machine_share_its_memory(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    monkeypatch.setattr(batch_size, "available_memory", lambda _: 1000)
    monkeypatch.setattr(batch_size, "current_memory", lambda _: 0)
    monkeypatch.setattr(batch_size, "forecast_batches", lambda *arguments: limits.append(arguments[-1]))
    for local in ("1", "4"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
        with pytest.raises(batch_size.BatchSizeError):
            train(tiny(training=AUTO))
    assert limits == [900, 225]


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"batch_tokens": "auto"}, "batch_tokens: auto requires step_tokens"),
        ({"step_tokens": 512, "accumulation": 2}, "step_tokens and accumulation are mutually exclusive"),
        ({"batch_tokens": "most"}, r"training\.batch_tokens: must be a valid integer"),
        ({"batch_tokens": True}, r"training\.batch_tokens: must be a number\. Received: true"),
        ({"step_tokens": 0}, r"training\.step_tokens: must be greater than 0\. Received: 0"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(tiny: Tiny, training: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny(training=training)
