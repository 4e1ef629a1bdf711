"""Faults of one of two ranks: both end with one message, and the last checkpoint is whole."""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from launching import rank_environments

from translator.checkpoint import newest_checkpoint, step_of
from translator.config import Config, to_yaml

Tiny = Callable[..., Config]


@dataclass(frozen=True)
class Phase:
    """A call within a run.

    Attributes:
        module: module, and then the class, if there is one, that has the function.
        function: its name.
        call: number of the call that the rank is killed in, from 1.
        checkpoint: step of the checkpoint that is left.
        parallel: `training.parallel`.
    """

    module: str
    function: str
    call: int = 1
    checkpoint: int | None = None
    parallel: str = "replicate"


PHASES = {
    "connecting": Phase("torch.distributed", "init_process_group"),
    "reading data": Phase("translator.training.setup", "prepare_corpus"),
    "making the model": Phase("translator.training.trainer", "initial_model"),
    "a step": Phase("translator.training.trainer:Trainer", "step", call=6, checkpoint=4),
    "a validation": Phase("translator.training.validation:Validation", "run", call=2, checkpoint=4),
    "gathering shards": Phase("translator.training.trainer", "gather", call=2, checkpoint=4, parallel="shard"),
    "writing shards": Phase(
        "translator.training.sharded_checkpoints:_ShardWriter", "write_data", call=2, checkpoint=4, parallel="shard"
    ),
}


def run_rank(place: dict[str, str], folder: Path, fault: Phase | str | None, messages: Path) -> None:
    """Train as one rank that has a fault, if one is given. Called in a process of its own.

    Args:
        place: environment of the rank.
        folder: working directory.
        fault: phase in which the rank is killed, or its difference from the other.
        messages: file for standard error.
    """
    os.environ.update(place)
    os.chdir(folder)
    with messages.open("wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    from translator.cli import main
    from translator.training import heartbeat

    heartbeat._LIMIT = 10.0
    heartbeat._TICK_SECONDS = heartbeat._BEAT_SECONDS = 0.5
    if isinstance(fault, Phase):
        before_call(fault, lambda: os.kill(os.getpid(), signal.SIGKILL))
    elif fault == "clock":
        now = time.time
        time.time = lambda: now() + 3 * 86400
    elif fault == "torch":
        torch.__version__ = "1.2.3"
    elif fault == "longer stream":
        content = Path("train.tsv").read_bytes()
        before_call(PHASES["a step"], lambda: Path("train.tsv").write_bytes(content + b"un\tone\n"))
    sys.exit(main(["train", "config.yaml"]))


def before_call(phase: Phase, act: Callable[[], object]) -> None:
    """Do something before the call that a phase is."""
    module, _, owner = phase.module.partition(":")
    place: Any = importlib.import_module(module)
    place = getattr(place, owner) if owner else place
    original, calls = getattr(place, phase.function), itertools.count(1)

    def changed(*arguments: Any, **options: Any) -> Any:
        if next(calls) == phase.call:
            act()
        return original(*arguments, **options)

    setattr(place, phase.function, changed)


def run_two(folders: Sequence[Path], faults: Sequence[Phase | str | None]) -> list[tuple[int | None, str]]:
    """Train with two ranks in these folders; return exit code and messages of each."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["translator.training.trainer", "translator.training.sharded_checkpoints"])
    messages = [folders[0] / f"messages-{rank}" for rank in range(2)]
    processes = [
        server.Process(target=run_rank, args=each)
        for each in zip(rank_environments(2), folders, faults, messages, strict=True)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(timeout=240)
        codes = [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(code, path.read_text(encoding="utf-8")) for code, path in zip(codes, messages, strict=True)]


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("name", PHASES)
def test_a_rank_that_is_killed_ends_the_other_with_one_message(
    name: str, victim: int, tiny: Tiny, corpus: Path, tmp_path: Path
) -> None:
    phase = PHASES[name]
    changes = {"max_steps": 12, "save_every": 4, "validate_every": 4, "parallel": phase.parallel}
    data = {"cache": str(tmp_path / "cache")}
    (tmp_path / "config.yaml").write_text(to_yaml(tiny(data=data, training=changes)), encoding="utf-8")
    results = run_two([tmp_path, tmp_path], [phase, None] if victim == 0 else [None, phase])
    code, error = results[1 - victim]
    assert (results[victim][0], code) == (-signal.SIGKILL, 2), results
    assert len([line for line in error.splitlines() if line.startswith("translator: ")]) == 1, error
    assert "Another rank ended (" in error or "has not answered for 10 seconds" in error, error
    assert "The same command resumes the run" in error
    assert "Traceback" not in error
    found = newest_checkpoint(tmp_path / "run")
    assert (None if found is None else step_of(found[0])) == phase.checkpoint


@pytest.mark.parametrize(
    ("fault", "said", "max_steps"),
    [
        ("clock", None, 8),
        ("torch", "All ranks must run the same code with the same torch.", 8),
        ("longer stream", "A streamed file must not change during a run.", 200),
    ],
)
def test_what_differs_between_ranks_is_reported_by_both_unless_it_is_the_clock(
    fault: str, said: str | None, max_steps: int, tiny: Tiny, corpus: Path, tmp_path: Path
) -> None:
    source = {"file": "train.tsv", "streaming": True}
    config = tiny(
        data={"train": source, "valid": [], "shuffle_rows": 64},
        training={"max_steps": max_steps, "batch_tokens": 512, "validate_every": 1000},
    ).model_copy(update={"output": "run"})
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        lines = (corpus / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / "train.tsv").write_text("".join(lines[:150]), encoding="utf-8")
        (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    for code, error in run_two(folders, [None, fault]):
        assert code == (2 if said else 0), error
        assert "Traceback" not in error
        messages = [line for line in error.splitlines() if line.startswith("translator: ")]
        assert len(messages) == bool(said) and all(str(said) in message for message in messages), error
    found = newest_checkpoint(folders[0] / "run")
    assert (found is None) == (fault == "torch")
