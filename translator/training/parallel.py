"""Data-parallel training over several ranks: the only module with communication between processes.

Every method that communicates must be called by all ranks, in the same order. Nothing assumes a shared disk: rank 0
reads and writes the run directory, and the other ranks receive what they need.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from translator.checkpoint import set_weights, weights_of
from translator.errors import UserError, shorten
from translator.ranks import Rank, RankError
from translator.training.memory import is_out_of_memory

T = TypeVar("T")

# For one collective operation. What takes longer on one rank than on the others is waited for through the store.
_TIMEOUT = timedelta(minutes=15)
_BUCKET_BYTES = 25 * 2**20  # of gradients that are summed in one message
_MAX_PAUSE = 0.1  # seconds between two looks into the store


class Ranks:
    """This process and the other ranks of the run.

    Args:
        rank: number of this process, from 0.
        world_size: number of processes.
        device: device that this process computes on.
        store: key-value store that all ranks reach; None for one rank.

    Attributes:
        rank, world_size, device: as above.
    """

    def __init__(self, rank: int, world_size: int, device: torch.device, store: Store | None = None) -> None:
        self.rank = rank
        self.world_size = world_size
        self.device = device
        self._store = store
        self._meetings = 0

    @classmethod
    def join(cls) -> Ranks:
        """Connect to the other ranks, by NCCL on CUDA and by gloo on the CPU.

        Raises:
            RankError: if the environment is not one that torchrun sets.
        """
        place = Rank.of_environment()
        is_cuda = torch.cuda.is_available()
        device = torch.device("cuda", place.local_rank) if is_cuda else torch.device("cpu")
        if is_cuda:
            torch.cuda.set_device(device)
        if place.world_size == 1:
            return cls(0, 1, device)
        try:
            store, rank, world_size = next(iter(rendezvous("env://", timeout=_TIMEOUT)))
        except ValueError as error:
            raise RankError(f"Several ranks must be started with torchrun ({error}).") from error
        dist.init_process_group(
            "nccl" if is_cuda else "gloo",
            store=PrefixStore("collectives", store),
            rank=rank,
            world_size=world_size,
            timeout=_TIMEOUT,
        )
        return cls(rank, world_size, device, PrefixStore("meetings", store))

    def leave(self) -> None:
        """Disconnect from the other ranks."""
        if self.world_size > 1:
            dist.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """True on rank 0, which reads and writes the run directory, logs and validates."""
        return self.rank == 0

    def on_main(self, work: Callable[[], T]) -> T:
        """Do some work on rank 0 while the other ranks wait, for as long as it takes.

        Args:
            work: called on rank 0 alone.

        Returns:
            Its result, on every rank.

        Raises:
            UserError: if `work` raised one, on every rank.
        """
        if self.world_size == 1:
            return work()
        result: list[T | None] = [None]
        with self.together():
            if self.is_main:
                result[0] = work()
        with _communication():
            dist.broadcast_object_list(result, src=0, device=self.device)
        return result[0]  # type: ignore[return-value]  # T may include None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wait at the end of a block until all ranks are there; a UserError on one of them is raised on all.

        There is no time limit: a rank that ends closes its connections, which ends the wait.
        """
        failure: UserError | None = None
        try:
            yield
        except UserError as error:
            if self.world_size == 1:
                raise
            failure = error
        if self.world_size == 1:
            return
        messages = self._exchange("" if failure is None else f"!{failure}")
        if failure is not None:
            raise failure
        for rank, message in enumerate(messages):
            if message:
                raise RankError(f"rank {rank} stopped: {message[1:]}")

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace float tensors by their sums over all ranks."""
        if self.world_size == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.flatten() for tensor in bucket])
            with _communication():
                dist.all_reduce(flat)
            for tensor, part in zip(bucket, torch.split(flat, [tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def replicate(self, model: nn.Module) -> None:
        """Give the models of all ranks the weights of rank 0."""
        if self.world_size > 1:
            with _communication():
                for weight in weights_of(model).values():
                    dist.broadcast(weight, src=0)

    def _exchange(self, message: str) -> list[str]:
        """Return the messages of all ranks, which wait for each other."""
        assert self._store is not None
        self._meetings += 1
        keys = [f"{self._meetings}/{rank}" for rank in range(self.world_size)]
        with _communication():
            self._store.set(keys[self.rank], message)
            pause = 0.001
            while not self._store.check(keys):  # in Python, so that signals are handled
                time.sleep(pause)
                pause = min(2 * pause, _MAX_PAUSE)
            return [self._store.get(key).decode() for key in keys]


@contextmanager
def _communication() -> Iterator[None]:
    """Raise RankError in place of the errors by which torch reports that another rank is gone or does not answer."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise RankError(
            f"Another rank ended, or did not answer for {_TIMEOUT.total_seconds() / 60:.0f} minutes "
            f"({shorten(str(error).splitlines()[0])}). Its own message says why. The same command resumes the run."
        ) from error


def full_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the whole weights of a model on every rank; where weights are sharded, this gathers them."""
    return weights_of(model)


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], origin: Path | str) -> None:
    """Copy whole weights into a model on every rank; where weights are sharded, each rank takes its part.

    Raises:
        CheckpointError: if names or shapes differ.
    """
    set_weights(model, weights, origin)


def scale_and_clip(gradients: Iterable[Tensor], scale: Tensor, clip_norm: float) -> Tensor:
    """Multiply gradients by `scale`, then clip their total norm, in one pass over them.

    Args:
        gradients: changed in place; the same on all ranks.
        scale: float32 scalar: 1 / number of tokens that the gradients sum over.
        clip_norm: maximum norm; 0 disables clipping.

    Returns:
        The norm after scaling and before clipping, a float32 scalar.
    """
    gradients = list(gradients)
    norm = torch.nn.utils.get_total_norm(gradients) * scale
    if clip_norm:
        scale = scale * (clip_norm / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, scale)
    return norm


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Split tensors into groups of at most `_BUCKET_BYTES`, in order; a larger tensor is a group of its own."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and size + tensor.nbytes > _BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket
