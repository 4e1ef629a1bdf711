"""scripts/gpu_check.sh: its error messages, and smoke tests of its stages."""

from __future__ import annotations

import importlib.util
import json
import os
import re
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
    assert "Arguments must be options, a call or stages: call-a call-b card smoke tests " in done.stderr
    assert "Received: everything." in done.stderr
    done = gpu_check(tmp_path, "call-a", "loss")
    assert done.returncode == 2
    assert "A call and stages are mutually exclusive. Received: call-a loss." in done.stderr


def test_the_second_call_requires_the_results_of_the_first(tmp_path: Path) -> None:
    done = gpu_check(tmp_path, "--rehearse", "call-b")
    assert done.returncode == 2
    assert "call-b requires the results of call-a in --out. Run call-a first." in done.stderr


def test_limits_of_the_stages_fit_their_calls() -> None:
    """450 s for call-a, 270 s for either form of call-b."""
    script = (ROOT / "scripts" / "gpu_check.sh").read_text()
    limits = {name: int(seconds) for name, seconds in re.findall(r"\[([a-z-]+)\]=(\d+)", script)}
    (call_a,) = re.findall(r"call_a=\(([a-z ]+)\)", script)
    assert sum(limits[stage] for stage in call_a.split()) <= 450
    assert limits["train"] + limits["peers"] <= 270 and limits["retest"] + limits["step-eager"] <= 270


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
        ("card", ("card",), ()),
        ("loss", ("loss",), ()),
        ("relu", ("relu",), ()),
        ("step", ("step-base", "step-base-kernels"), ()),
        ("step-eager", ("step-eager", "step-eager-kernels"), ()),
        ("step-big", ("step-big",), ("transformers",)),
        ("step-small", ("step-small",), ()),
        ("decode", ("decode",), ()),
        ("peers", ("step-peers", "decode-peers"), ("transformers", "ctranslate2")),
    ],
)
def test_stage_prints_its_rows_and_writes_them(
    tmp_path: Path, stage: str, tables: tuple[str, ...], packages: tuple[str, ...]
) -> None:
    triton = pytest.importorskip("triton")
    is_old_triton = tuple(map(int, triton.__version__.split(".")[:2])) < (3, 7)
    is_new_numpy = np.lib.NumpyVersion(np.__version__) >= "2.4.0"
    if stage == "decode" and is_old_triton and is_new_numpy and not torch.cuda.is_available():
        pytest.skip("with numpy 2.4 and later, triton 3.6 cannot interpret loops whose bounds were loaded")
    done = gpu_check(tmp_path, "--rehearse", stage)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"## {stage} (at most ")
    for table in tables:
        written = json.loads((tmp_path / f"{table}.json").read_text())
        assert any(line.startswith(f"# {written['title']}: ") for line in lines)
        for row in written["rows"]:
            assert any(line.startswith(", ".join(f"{key} {row[key]}" for key in list(row)[:1])) for line in lines)
            assert "failed" not in row
    for package in packages:  # baselines: measured if installed, otherwise named
        is_installed = importlib.util.find_spec(package) is not None
        assert is_installed or f"skipped: package {package}: " in done.stderr


def test_rows_are_printed_and_written_when_they_are_measured(tmp_path: Path) -> None:
    """A time limit after the first row loses nothing of it."""
    program = (
        "import os; from pathlib import Path; from measuring import Table\n"
        "def rows():\n    yield {'what': 'one', 'ms': 1.5}\n    os._exit(124)\n"
        f"Table('a benchmark', {{}}, Path({str(tmp_path / 'table.json')!r})).add(rows())"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 124, done.stderr
    assert done.stdout.splitlines()[1:] == ["what one, ms 1.5"]
    assert json.loads((tmp_path / "table.json").read_text())["rows"] == [{"what": "one", "ms": 1.5}]


def test_implementation_that_fails_is_a_row_and_the_others_are_measured(tmp_path: Path) -> None:
    rows = "[{'what': 'one', 'ms': 1.5}, {'what': 'two'} | failure(RuntimeError('no such kernel'))]"
    program = (
        "from pathlib import Path; from measuring import Table, failure;"
        f"table = Table('a benchmark', {{}}, Path({str(tmp_path / 'table.json')!r}));"
        f"table.add({rows}); table.finish()"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert [row.split(",")[0] for row in done.stdout.splitlines()[1:]] == ["what one", "what two"]
    assert json.loads((tmp_path / "table.json").read_text())["rows"][1]["failed"] == "RuntimeError: no such kernel"


def test_the_training_stage_trains_the_given_configuration(tmp_path: Path) -> None:
    done = gpu_check(tmp_path, "--rehearse", "--config", "configs/phrasebook.yaml", "train")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "checkpoints" / "step-2" / "model.safetensors").is_file()


def test_a_stage_that_fails_ends_no_other(tmp_path: Path) -> None:
    """Here the training step cannot write its table, because a directory has its name."""
    (tmp_path / "step-small.json").mkdir()
    done = gpu_check(tmp_path, "--rehearse", "step-small", "card")
    assert done.returncode == 1
    assert "## step-small failed: exit 1" in done.stderr
    assert (tmp_path / "card.json").is_file()


def test_the_table_of_the_roofline_page_is_what_the_script_prints() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "roofline.py")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() in (ROOT / "docs" / "kernels.md").read_text()
