"""docs/distributed.md: the command for one machine runs, and the messages of faults are those of the program.

`training/test_two_machines.py` runs the command for several machines.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from launching import environment
from pages import ROOT, commands

from translator.training import heartbeat, parallel
from translator.training.rendezvous import JOIN_TIMEOUT

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


def test_the_messages_and_times_of_faults_are_those_of_the_program() -> None:
    page = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.partition("## Faults")[2].splitlines() if line.startswith("| ")][1:]
    messages = [message for _, said, _ in rows for message in re.findall("`(.+?)`", said)]
    assert len(rows) == 14 and len(messages) >= 12
    lost = str(parallel.lost_rank(RuntimeError("Connection closed by peer")))
    limits = {
        "has not answered for 30 seconds": heartbeat._LIMIT,
        "All ranks must start within 45 seconds.": JOIN_TIMEOUT.total_seconds(),
    }
    code = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "translator").rglob("*.py")))
    for message in messages:
        if message in limits:
            assert f" {limits[message]:.0f} " in message
        else:
            assert message in lost or re.sub(r"\brank 1 stopped", "rank {rank} stopped", message) in code, message
    slowest = heartbeat._LIMIT + heartbeat._BEAT_SECONDS + heartbeat._TICK_SECONDS
    assert "| 35 seconds |" in page and slowest <= 35
    assert f"{heartbeat._MIN_TICKS} looks" in page
