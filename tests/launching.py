"""Starting the ranks of a training run as processes, as torchrun does, and comparing what they learned."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch


def environment() -> dict[str, str]:
    """The environment of this process, with this checkout first on the path of Python."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}


def rank_environments(count: int, local_world_size: int = 1) -> list[dict[str, str]]:
    """Return the environment of each rank on this machine, as torchrun sets it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": probe.getsockname()[1], "WORLD_SIZE": count}
    shared["LOCAL_WORLD_SIZE"] = local_world_size
    places = [shared | {"RANK": rank, "LOCAL_RANK": rank % local_world_size} for rank in range(count)]
    return [environment() | {name: str(value) for name, value in place.items()} for place in places]


def start_ranks(
    folders: Sequence[Path],
    *arguments: str,
    local_world_size: int = 1,
    file_sizes: Sequence[int | None] = (),
    threads: Sequence[int] = (),
) -> list[subprocess.Popen[str]]:
    """Start `translator train config.yaml` with one rank in each folder.

    Args:
        folders: working directory of each rank.
        arguments: further arguments.
        local_world_size: number of ranks that are said to share a machine.
        file_sizes: largest file that each rank can write, in bytes, as if its disk were full; None for any size.
        threads: number of threads of each rank; one by default.
    """
    command = [sys.executable, "-m", "translator", "train", "config.yaml", *arguments]
    processes = []
    for rank, place in enumerate(rank_environments(len(folders), local_world_size)):
        limit = file_sizes[rank] if file_sizes else None
        own_threads = {"OMP_NUM_THREADS": str(threads[rank])} if threads else {}
        processes.append(
            subprocess.Popen(
                command,
                cwd=folders[rank],
                env=place | own_threads,
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


def without_key_bias(name: str, weight: torch.Tensor) -> torch.Tensor:
    """Leave out the biases of keys: their gradient is zero, and Adam makes steps of its rounding errors."""
    parts = {"query_key_value_projection.bias": (3, (0, 2)), "key_value_projection.bias": (2, (1,))}
    for ending, (count, kept) in parts.items():
        if name.endswith(f".{ending}"):
            return torch.cat([weight.chunk(count)[part] for part in kept])
    return weight
