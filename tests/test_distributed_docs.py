"""docs/distributed.md: the command for one machine runs. `training/test_two_machines.py` runs that for several."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from launching import environment
from pages import ROOT, commands

# One step on little data, of a schedule that needs no warm-up
SHORT = [
    "training.max_steps=1",
    "training.schedule=inverse_sqrt",
    "training.valid_decode_examples=2",
    "training.average_checkpoints=0",
    "tokenizer.vocab_size=500",
    "data.train={phrasebook: train, max_examples: 2000}",
    "data.valid={phrasebook: valid, max_examples: 20}",
]


def test_the_command_trains_with_two_sharded_ranks(tmp_path: Path) -> None:
    (command,) = commands("docs/distributed.md")
    program, *arguments = command.split()
    assert program == "torchrun" and arguments[-1] == "training.parallel=shard"
    changes = [*SHORT, f"output={tmp_path / 'run'}", f"data.cache={tmp_path / 'cache'}"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *arguments, *changes],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "run" / "last" / "shards").iterdir())) == 2
