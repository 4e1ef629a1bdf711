"""Ranks of a data-parallel run: the only module that knows there may be more than one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

_VALIDATION_TIMEOUT = timedelta(hours=6)  # other ranks wait while rank 0 validates


@dataclass(frozen=True)
class Ranks:
    """This process among those that `torchrun` started; rank 0 of 1 without it.

    Attributes:
        rank: of this process, from 0.
        world_size: number of processes.
        device: that this process computes on.
    """

    rank: int
    world_size: int
    device: torch.device

    @classmethod
    def join(cls) -> Ranks:
        """Meet the other ranks, by NCCL on CUDA and gloo on the CPU."""
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        rank = int(os.environ.get("RANK", "0"))
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        is_cuda = torch.cuda.is_available()
        device = torch.device("cuda", local_rank) if is_cuda else torch.device("cpu")
        if is_cuda:
            torch.cuda.set_device(device)
        if world_size > 1:
            dist.init_process_group("nccl" if is_cuda else "gloo", timeout=_VALIDATION_TIMEOUT)
        return cls(rank, world_size, device)

    @property
    def is_main(self) -> bool:
        """Whether this rank writes, logs and validates."""
        return self.rank == 0

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace float tensors by their sums over all ranks, in one message."""
        if self.world_size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def from_main(self, values: list[float]) -> list[float]:
        """The numbers that rank 0 holds, on every rank."""
        if self.world_size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, src=0)
        return [float(value) for value in tensor]

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.world_size > 1:
            dist.barrier()

    def leave(self) -> None:
        """Part from the other ranks."""
        if self.world_size > 1:
            dist.destroy_process_group()
