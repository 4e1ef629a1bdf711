"""docs/large-corpora.md: the commands run, with a stand-in for srun, and the Job fits the image of the Dockerfile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import ROOT, blocks, commands

PAGE = "docs/large-corpora.md"
TEXT = "Où est la gare ?\n\nIl fait froid.\n"
# Starts the tasks that the script asks for, with the variables that srun sets, one after the other.
SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift; done
for task in 0 1 2 3 4 5 6 7; do
    SLURM_PROCID=$task SLURM_STEP_NUM_TASKS=8 SLURM_LOCALID=$task "$@" || exit
done
"""


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with a corpus, and the commands `translator`, `torchrun` and `srun`."""
    (tmp_path / "big.fr").write_text(TEXT, encoding="utf-8")
    (tmp_path / "bin").mkdir()
    programs = {
        "translator": f'#!/bin/sh\nexec "{sys.executable}" -m translator "$@"\n',
        "torchrun": f'#!/bin/sh\nexec "{sys.executable}" -m torch.distributed.run "$@"\n',
        "srun": SRUN,
    }
    for name, program in programs.items():
        (tmp_path / "bin" / name).write_text(program)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def run(command: list[str], folder: Path, **variables: str) -> None:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | variables
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def translations(folder: Path) -> list[str]:
    return (folder / "big.en").read_text(encoding="utf-8").splitlines()


def test_the_commands_translate_a_corpus(workplace: Path) -> None:
    (command,) = commands(PAGE)
    run(["bash", "-c", command], workplace)
    assert translations(workplace) == ["Where is the station?", "", "It's cold."]


def test_the_script_of_slurm_translates_a_corpus(workplace: Path) -> None:
    (script,) = blocks(PAGE, "sh")
    assert "#SBATCH --ntasks=8\n" in script
    (workplace / "job.sh").write_text(script)
    run(["bash", "job.sh"], workplace, SLURM_PROCID="0", SLURM_NTASKS="8")
    assert translations(workplace) == ["Where is the station?", "", "It's cold."]


def test_the_job_of_kubernetes_fits_the_image_and_its_ranks_translate_a_corpus(workplace: Path) -> None:
    (text,) = blocks(PAGE, "yaml")
    job: dict[str, Any] = yaml.safe_load(text)["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.*)$", dockerfile, flags=re.M)
    (user,) = re.findall(r"^USER (\d+)$", dockerfile, flags=re.M)
    (volumes,) = re.findall(r"^VOLUME (.*)$", dockerfile, flags=re.M)
    assert pod["securityContext"]["runAsUser"] == int(user)
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [json.loads(volumes)[1]]
    rank, world_size = container["env"]
    assert "job-completion-index" in rank["valueFrom"]["fieldRef"]["fieldPath"]
    assert (rank["name"], world_size["name"]) == ("RANK", "WORLD_SIZE")
    assert int(world_size["value"]) == job["completions"] == 8
    arguments = [argument.replace("/data", str(workplace)) for argument in container["args"]]
    for index in reversed(range(job["completions"])):
        run([*json.loads(entrypoint), *arguments], workplace, RANK=str(index), WORLD_SIZE=world_size["value"])
    assert translations(workplace) == ["Where is the station?", "", "It's cold."]
