"""Starting the ranks of a training run as processes, as torchrun does on one or several machines."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path


def environment() -> dict[str, str]:
    """The environment of this process, with this checkout first on the path of Python."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}


def start_ranks(
    folders: Sequence[Path], *arguments: str, local_world_size: int = 1, file_sizes: Sequence[int | None] = ()
) -> list[subprocess.Popen[str]]:
    """Start `translator train config.yaml` with one rank in each folder.

    Args:
        folders: working directory of each rank.
        arguments: further arguments.
        local_world_size: number of ranks that are said to share a machine.
        file_sizes: largest file that each rank can write, in bytes, as if its disk were full; None for any size.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "translator", "train", "config.yaml", *arguments]
    processes = []
    for rank, folder in enumerate(folders):
        place = {"RANK": rank, "LOCAL_RANK": rank % local_world_size, "LOCAL_WORLD_SIZE": local_world_size}
        place |= {"WORLD_SIZE": len(folders), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        limit = file_sizes[rank] if file_sizes else None
        processes.append(
            subprocess.Popen(
                command,
                cwd=folder,
                env=environment() | {name: str(value) for name, value in place.items()},
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=None
                if limit is None
                else partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)),
            )
        )
    return processes


def finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Wait for processes; return their exit codes and what they wrote to standard error."""
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return [(process.returncode, error) for process, error in zip(processes, errors, strict=True)]
