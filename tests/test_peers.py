"""benchmarks/peers.py: toolkits in processes of their own, with the same work; what fails is a row with the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pages import ROOT

from benchmarks.peer_workers.environments import PEERS, TORCH


def rows(environments: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run the benchmark at minimal size, without a package index, and return its rows."""
    script = str(ROOT / "benchmarks" / "peers.py")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, "--environments", str(environments), "--smoke-test", "--rounds", "1"]
    command += ["--sizes", "tiny", "--precisions", "float32", "--memory", "500", *arguments]
    done = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads((environments / "peers.json").read_text(encoding="utf-8"))["rows"]
    return found


def test_the_model_and_the_padded_transformer_do_the_same_work(tmp_path: Path) -> None:
    tokens: dict[str, set[int]] = defaultdict(set)
    measured = rows(tmp_path, "--peers", "translator", "nn.Transformer")
    for row in measured:
        if "run" in row and "not measured" not in row:
            tokens[row["run"]].add(row["tokens"])
            assert row["peak_mib"] > 50
    assert sorted(tokens) == ["beam 4", "greedy", "one beam 4", "one greedy", "training"]
    assert all(len(counts) == 1 for counts in tokens.values()), tokens
    assert len({row["parameters"] for row in measured if "parameters" in row}) == 1
    failed = {(row["toolkit"], row["run"]) for row in measured if "not measured" in row}
    assert failed == {("nn.Transformer", "beam 4"), ("nn.Transformer", "one beam 4")}


def test_a_toolkit_that_cannot_be_installed_or_started_is_a_row_with_the_reason(tmp_path: Path) -> None:
    torch = version("torch").partition("+")[0]
    started = tmp_path / "eole"  # complete, as it seems, but without the package
    (started / "bin").mkdir(parents=True)
    (started / "bin" / "python").symlink_to(sys.executable)
    steps = [[f"torch=={torch}" if word == TORCH else word for word in step] for step in PEERS["eole"].requirements]
    (started / "installed.json").write_text(json.dumps(steps), encoding="utf-8")
    found = {row["toolkit"]: row["not measured"] for row in rows(tmp_path, "--peers", "CTranslate2", "eole")}
    assert found["CTranslate2"].startswith("pip install ctranslate2: ERROR: ")
    assert found["eole"].startswith("the process ended with 1: ModuleNotFoundError: No module named ")


def test_a_toolkit_that_takes_too_long_or_too_much_memory_is_a_row_with_the_reason(tmp_path: Path) -> None:
    training = ["--peers", "nn.Transformer", "--tasks", "training"]
    (late,) = rows(tmp_path, *training, "--limit", "0.01")
    assert late["not measured"] == "no answer within 0.01 s"
    (large,) = rows(tmp_path, *training, "--memory", str(2**30))
    assert large["not measured"].startswith(f"{2**30} MiB of available memory are required. Received: ")
