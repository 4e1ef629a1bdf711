"""scripts/gpu_check.sh: its error messages, and smoke tests of its stages."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]


def gpu_check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": sys.executable}
    command = ["bash", str(ROOT / "scripts" / "gpu_check.sh"), "--out", str(folder), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_unknown_stage_is_refused(tmp_path: Path) -> None:
    done = gpu_check(tmp_path, "everything")
    assert done.returncode == 2
    assert "a stage: tests attention step step-big step-small decode. Received: everything." in done.stderr


def test_wheels_must_be_a_directory(tmp_path: Path) -> None:
    done = gpu_check(tmp_path, "--wheels", str(tmp_path / "absent"), "tests")
    assert done.returncode == 2
    assert f"--wheels must be an existing directory. Received: {tmp_path / 'absent'}." in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_rehearse_is_suggested(tmp_path: Path) -> None:
    done = gpu_check(tmp_path, "tests")
    assert done.returncode == 2
    assert "A CUDA device is required. Received: none. Use --rehearse" in done.stderr


@pytest.mark.parametrize(
    ("stage", "tables", "packages"),
    [
        ("step", ("loss", "step-base"), ("transformers",)),
        ("step-big", ("step-big",), ("transformers",)),
        ("step-small", ("step-small",), ()),
        ("decode", ("decode",), ("transformers", "ctranslate2")),
    ],
)
def test_stage_prints_its_tables_last_and_writes_them(
    tmp_path: Path, stage: str, tables: tuple[str, ...], packages: tuple[str, ...]
) -> None:
    triton = pytest.importorskip("triton")
    is_old_triton = tuple(map(int, triton.__version__.split(".")[:2])) < (3, 7)
    is_new_numpy = np.lib.NumpyVersion(np.__version__) >= "2.4.0"
    if stage == "decode" and is_old_triton and is_new_numpy and not torch.cuda.is_available():
        pytest.skip("with numpy 2.4 and later, triton 3.6 cannot interpret loops whose bounds were loaded")
    done = gpu_check(tmp_path, "--rehearse", stage)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[1:]
    for table in tables:
        written = json.loads((tmp_path / f"{table}.json").read_text())
        facts, _, *rows = lines[: len(written["rows"]) + 2]  # the facts, the columns
        assert facts.startswith(f"# {written['title']}: ")
        assert all(line.startswith(next(iter(row.values()))) for line, row in zip(rows, written["rows"], strict=True))
        lines = lines[len(rows) + 2 :]
    assert not lines
    for package in packages:  # baselines: measured if installed, otherwise named
        is_installed = importlib.util.find_spec(package) is not None
        assert is_installed or f"skipped: package {package}: " in done.stderr


def test_implementation_that_fails_is_a_row_and_the_others_are_measured(tmp_path: Path) -> None:
    rows = "[{'what': 'one', 'ms': 1.5}, {'what': 'two'} | failure(RuntimeError('no such kernel'))]"
    program = (
        "from pathlib import Path; from measuring import failure, report;"
        f"report('a benchmark', {{}}, {rows}, Path({str(tmp_path / 'table.json')!r}))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert [row.split()[0] for row in done.stdout.splitlines()[2:]] == ["one", "two"]
    assert json.loads((tmp_path / "table.json").read_text())["rows"][1]["failed"] == "RuntimeError: no such kernel"
