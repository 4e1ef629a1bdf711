"""Rank and world size of this process, as torchrun or Slurm sets them in the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

from translator.errors import UserError

_TORCHRUN = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
# SLURM_STEP_NUM_TASKS exists in the tasks of srun alone. SLURM_PROCID and SLURM_NTASKS exist in a batch script, too.
_SLURM = {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_LOCALID": "0", "LOCAL_WORLD_SIZE": "1"}


class RankError(UserError):
    """Ranks that cannot work together."""


@dataclass(frozen=True)
class Rank:
    """The place of this process among those of a run; rank 0 of 1 if nothing starts several.

    Attributes:
        rank: number of this process, from 0.
        world_size: number of processes.
        local_rank: number of this process on its machine, which is the number of its GPU.
        local_world_size: number of processes on its machine, as torchrun says; 1 if nothing says it.
    """

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int = 1

    @classmethod
    def of_environment(cls) -> Rank:
        """Read the variables of torchrun or, if RANK and WORLD_SIZE are absent, those of a task of srun.

        Raises:
            RankError: if they are not the numbers of a rank.
        """
        is_slurm = not {"RANK", "WORLD_SIZE"} & os.environ.keys() and "SLURM_STEP_NUM_TASKS" in os.environ
        names = _SLURM if is_slurm else _TORCHRUN
        values = {name: os.environ.get(name, default) for name, default in names.items()}
        is_number = all(value.isascii() and value.isdigit() for value in values.values())
        rank, world_size, local_rank, local_world_size = (int(value) if is_number else 0 for value in values.values())
        if not rank < world_size or not local_world_size:
            first, second, third, fourth = names
            shown = ", ".join(f"{name}={value}" for name, value in values.items())
            raise RankError(
                f"{first}, {second}, {third} and {fourth} must be integers with 0 <= {first} < {second} and "
                f"{fourth} >= 1. Received: {shown}. "
                f"Start several ranks with {'srun' if is_slurm else 'torchrun'}, or unset them."
            )
        return cls(rank, world_size, local_rank, local_world_size)
