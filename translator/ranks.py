"""Rank and world size of this process, as torchrun sets them in the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

from translator.errors import UserError


class RankError(UserError):
    """Ranks that cannot work together."""


@dataclass(frozen=True)
class Rank:
    """The place of this process among those of a run; rank 0 of 1 without torchrun.

    Attributes:
        rank: number of this process, from 0.
        world_size: number of processes.
        local_rank: number of this process on its machine, which is the number of its GPU.
    """

    rank: int
    world_size: int
    local_rank: int

    @classmethod
    def of_environment(cls) -> Rank:
        """Read RANK, WORLD_SIZE and LOCAL_RANK.

        Raises:
            RankError: if they are not the numbers of a rank.
        """
        names = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
        values = {name: os.environ.get(name, default) for name, default in names.items()}
        is_number = all(value.isascii() and value.isdigit() for value in values.values())
        if not is_number or not int(values["RANK"]) < int(values["WORLD_SIZE"]):
            shown = ", ".join(f"{name}={value}" for name, value in values.items())
            raise RankError(
                f"RANK, WORLD_SIZE and LOCAL_RANK must be integers with 0 <= RANK < WORLD_SIZE. Received: {shown}. "
                "Start several ranks with torchrun, or unset them."
            )
        return cls(int(values["RANK"]), int(values["WORLD_SIZE"]), int(values["LOCAL_RANK"]))
