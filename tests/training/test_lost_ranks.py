"""A rank that is killed in any phase of a run: the other ends with one message, and the last checkpoint is whole."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
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


def run_rank(place: dict[str, str], folder: Path, phase: Phase | None, messages: Path) -> None:
    """Train as one rank; be killed in a phase, if one is given. Called in a process of its own."""
    os.environ.update(place)
    os.chdir(folder)
    with messages.open("wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    from translator.cli import main
    from translator.training import heartbeat

    heartbeat._LIMIT = 10.0
    heartbeat._TICK_SECONDS = heartbeat._BEAT_SECONDS = 0.5
    if phase is not None:
        module, _, owner = phase.module.partition(":")
        place_of: Any = importlib.import_module(module)
        place_of = getattr(place_of, owner) if owner else place_of
        original, calls = getattr(place_of, phase.function), 0

        def killed(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == phase.call:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        setattr(place_of, phase.function, killed)
    sys.exit(main(["train", "config.yaml"]))


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("name", PHASES)
def test_a_rank_that_is_killed_ends_the_other_with_one_message(
    name: str, victim: int, tiny: Tiny, corpus: Path, tmp_path: Path
) -> None:
    phase = PHASES[name]
    changes = {"max_steps": 12, "save_every": 4, "validate_every": 4, "parallel": phase.parallel}
    data = {"cache": str(tmp_path / "cache")}
    (tmp_path / "config.yaml").write_text(to_yaml(tiny(data=data, training=changes)), encoding="utf-8")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["translator.training.trainer", "translator.training.sharded_checkpoints"])
    messages = [tmp_path / f"messages-{rank}" for rank in range(2)]
    processes = [
        server.Process(target=run_rank, args=(place, tmp_path, phase if rank == victim else None, messages[rank]))
        for rank, place in enumerate(rank_environments(2))
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(timeout=240)
        error = messages[1 - victim].read_text(encoding="utf-8")
        assert [process.exitcode for process in processes] == ([-9, 2] if victim == 0 else [2, -9]), error
    finally:
        for process in processes:
            process.kill()
    assert len([line for line in error.splitlines() if line.startswith("translator: ")]) == 1, error
    assert "Another rank ended (" in error or "has not answered for 10 seconds" in error, error
    assert "The same command resumes the run" in error
    assert "Traceback" not in error
    found = newest_checkpoint(tmp_path / "run")
    assert (None if found is None else step_of(found[0])) == phase.checkpoint
