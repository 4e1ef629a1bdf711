"""Two machines without a shared disk, as network namespaces: one is lost in mid-run, and another takes its place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launching import environment
from pages import blocks

from translator.checkpoint import step_checkpoints, step_of
from translator.config import Config, load_config, to_yaml

Tiny = Callable[..., Config]
FIRST, SECOND = (f"translator-{os.getpid()}-{number}" for number in (1, 2))


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def namespaces() -> Iterator[None]:
    """Two connected network namespaces: 10.77.0.5, and 10.77.0.6, which is also 10.77.0.4."""
    try:
        for name in (FIRST, SECOND):
            ip("netns", "add", name)
        ip("link", "add", "lan", "netns", FIRST, "type", "veth", "peer", "name", "lan", "netns", SECOND)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces cannot be made: {error}")
    try:
        for name, addresses in ((FIRST, ["10.77.0.5"]), (SECOND, ["10.77.0.6", "10.77.0.4"])):
            for address in addresses:
                ip("-n", name, "address", "add", f"{address}/24", "dev", "lan")
            for device in ("lo", "lan"):
                ip("-n", name, "link", "set", device, "up")
        yield
    finally:
        for name in (FIRST, SECOND):
            kill(name)
            ip("netns", "delete", name)


def kill(name: str) -> None:
    """Kill every process of a namespace, as if the machine had lost its power."""
    for process in ip("netns", "pids", name).split():
        os.kill(int(process), signal.SIGKILL)


def start(name: str, address: str, folder: Path) -> subprocess.Popen[str]:
    """Run the command of docs/distributed.md for several machines in a namespace."""
    (command,) = blocks("docs/distributed.md", "sh")
    for written, meant in (
        ("torchrun ", f"{sys.executable} -m torch.distributed.run "),
        ("-m translator", f"--no-python {sys.executable} -m translator"),
        ("--nproc-per-node=8", "--nproc-per-node=1"),
        ("$(hostname -I | cut -d' ' -f1)", address),
        # The host name of this machine is not that of its namespaces.
        ("--rdzv-id=run", f"--rdzv-id=run --rdzv-conf=is_host={int(name == FIRST)}"),
        ("10.0.0.1", "10.77.0.5"),
    ):
        assert written in command
        command = command.replace(written, meant, 1)
    return subprocess.Popen(
        ["ip", "netns", "exec", name, "bash", "-c", command],
        cwd=folder,
        env=environment() | {"GLOO_SOCKET_IFNAME": "lan"},
        stderr=subprocess.PIPE,
        text=True,
    )


def stop_at(step: int, *folders: Path) -> None:
    """Let the runs end after a step, once they are started again."""
    for folder in folders:
        config = load_config(folder / "config.yaml", [f"training.max_steps={step}"])
        (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")


@pytest.mark.usefixtures("namespaces")
def test_a_run_goes_on_from_its_last_checkpoint_when_a_lost_machine_is_replaced(
    tiny: Tiny, corpus: Path, tmp_path: Path
) -> None:
    config = tiny(
        data={"train": "train.tsv", "valid": [], "cache": "cache"}, training={"max_steps": 100_000, "save_every": 20}
    ).model_copy(update={"output": "run"})
    first, second, third = folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
        shutil.copy(corpus / "train.tsv", folder)
        (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")

    staying = start(FIRST, "10.77.0.5", first)
    lost = start(SECOND, "10.77.0.6", second)
    while len(step_checkpoints(first / "run")) < 2:
        ended = [process for process in (staying, lost) if process.poll() is not None]
        assert not ended, ended[0].communicate()[1]
        time.sleep(0.1)
    kill(SECOND)
    lost.communicate()
    reached = step_of(step_checkpoints(first / "run")[-1])
    stop_at(reached + 10, *folders)

    # Its address comes first in order, so that it becomes rank 0, without the run on its disk.
    replacement = start(SECOND, "10.77.0.4", third)
    for process in (replacement, staying):
        _, messages = process.communicate(timeout=300)
        assert process.returncode == 0, messages
        assert "Traceback" not in messages.split("resuming from step")[-1]
        if process is replacement:
            assert f"the checkpoint of step {reached} is sent from rank 1 to rank 0" in messages
            assert f"resuming from step {reached} of {reached + 10}" in messages
        else:
            assert "Another rank ended" in messages
    assert step_of(step_checkpoints(third / "run")[-1]) == reached + 10
