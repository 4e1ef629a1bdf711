"""Communication between the ranks of a run. `gradient_sum`, `sharding` and `sharded_checkpoints` build on it.

Every method that communicates must be called by all ranks, in the same order. Nothing assumes a shared disk: rank 0
reads and writes the run directory, and the other ranks receive what they need.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import PrefixStore, Store

from translator.checkpoint import weights_of
from translator.errors import UserError, shorten
from translator.ranks import Rank, RankError
from translator.training.heartbeat import Heartbeat
from translator.training.memory import is_out_of_memory
from translator.training.rendezvous import JOIN_TIMEOUT, code_fingerprint, join_store, never_came

if TYPE_CHECKING:  # a slow import, which only sharded runs need
    from torch.distributed.tensor import DTensor

T = TypeVar("T")

# For one collective operation. What takes longer on one rank than on the others is waited for through the store.
_TIMEOUT = timedelta(minutes=15)
_MAX_PAUSE = 0.1  # seconds between two looks into the store
_SOURCE_PLACE = re.compile(r"\[/\S+:\d+\] ")  # in torch's messages: the line of C++ that reports an error
_READ_TIMEOUT = 10.0  # seconds for which a rank that fails stays until the others have read its message


class LostRankError(RankError):
    """A rank that ended or does not answer, as a collective operation reports it."""


class Ranks:
    """This process and the other ranks of the run.

    Args:
        rank: number of this process, from 0.
        world_size: number of processes.
        device: device that this process computes on.
        store: key-value store that all ranks reach; None for one rank.
        local_world_size: number of processes on this machine.

    Attributes:
        rank, world_size, device, local_world_size: as above.
    """

    def __init__(
        self,
        rank: int,
        world_size: int,
        device: torch.device,
        store: Store | None = None,
        local_world_size: int = 1,
    ) -> None:
        self.rank = rank
        self.world_size = world_size
        self.device = device
        self.local_world_size = local_world_size
        self._store = store
        self._meetings = 0
        self._heartbeat: Heartbeat | None = None

    @classmethod
    def join(cls) -> Ranks:
        """Connect to the other ranks, by NCCL for tensors on CUDA and by gloo for everything else.

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
        store, beats = join_store(place)
        rank, world_size = place.rank, place.world_size
        ranks = cls(rank, world_size, device, PrefixStore("meetings", store), place.local_world_size)
        ranks._check_same_code()
        ranks._heartbeat = Heartbeat(beats, rank, world_size)
        try:
            with communication():
                dist.init_process_group(
                    "cpu:gloo,cuda:nccl" if is_cuda else "gloo",
                    store=PrefixStore("collectives", store),
                    rank=rank,
                    world_size=world_size,
                    timeout=_TIMEOUT,
                )
        except RankError:
            ranks._heartbeat.stop()
            raise
        return ranks

    def leave(self) -> None:
        """Disconnect from the other ranks."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
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
            Exception: on rank 0, what `work` raised. The other ranks then raise a RankError.
        """
        if self.world_size == 1:
            return work()
        result: list[T | None] = [None]
        with self.together():
            if self.is_main:
                result[0] = work()
        with communication():
            dist.broadcast_object_list(result, src=0)
        return result[0]  # type: ignore[return-value]  # T may include None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wait at the end of a block until all ranks are there, or one of them has failed.

        An error on one of them is raised there, and as a RankError on the others, at once: a rank that fails does not
        wait for those that are still busy. The loss of a rank is raised without a wait, because others notice it, too.

        There is no time limit: a rank that ends closes its connections, which ends the wait, or is noticed by its
        silence.
        """
        failure: Exception | None = None
        try:
            yield
        except LostRankError:
            raise
        except Exception as error:  # of any class, so that the other ranks do not wait; raised below
            if self.world_size == 1:
                raise
            failure = error
        if self.world_size == 1:
            return
        messages = self._exchange("" if failure is None else f"!{_reason(failure)}", is_failure=failure is not None)
        if any(messages):
            self._wait_for_readers()
        if failure is not None:
            raise failure
        for rank, message in enumerate(messages):
            if message:
                raise RankError(f"rank {rank} stopped: {message[1:]}")

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over all ranks. `GradientSum` is faster for gradients."""
        if self.world_size == 1:
            return
        for tensor in tensors:
            with communication():
                dist.all_reduce(tensor)

    def exchange(self, item: T) -> list[T]:
        """Send an object to all ranks; return those of all ranks in order, on every rank."""
        if self.world_size == 1:
            return [item]
        items: list[T] = [item] * self.world_size
        with communication():
            dist.all_gather_object(items, item)
        return items

    def exchange_results(self, work: Callable[[], T]) -> list[T]:
        """Do some work on each rank; return the results of all ranks in order, on every rank.

        Args:
            work: called once on each rank.

        Raises:
            Exception: what `work` raised on this rank. The other ranks then raise a RankError.
        """
        if self.world_size == 1:
            return [work()]
        own: list[T] = []  # empty if the work fails
        failure: Exception | None = None
        try:
            own.append(work())
        except Exception as error:  # of any class, so that the other ranks get its message; raised below
            failure = error
        found = self.exchange(own)
        if not all(found):
            with self.together():
                if failure is not None:
                    raise failure
        return [result for (result,) in found]

    def send(self, item: object) -> None:
        """Send an object to rank 0, which must receive it."""
        with communication():
            dist.send_object_list([item], dst=0)

    def receive(self, source: int) -> Any:
        """Return, on rank 0, the next object that a rank sends."""
        items: list[Any] = [None]
        with communication():
            dist.recv_object_list(items, src=source)
        return items[0]

    def replicate(self, model: nn.Module) -> None:
        """Give the models of all ranks the weights of rank 0."""
        if self.world_size > 1:
            with communication():
                for weight in weights_of(model).values():
                    dist.broadcast(weight, src=0)

    def share(self, directory: Path) -> bool:
        """Return True, on all ranks, if every rank can write into a directory of rank 0."""
        if self.world_size == 1:
            return True

        def make() -> str:
            name = f".ranks-{os.urandom(8).hex()}"
            (directory / name).mkdir()
            return name

        def count() -> int:
            found = len(list((directory / name).iterdir()))
            shutil.rmtree(directory / name)
            return found

        name = self.on_main(make)
        with self.together(), contextlib.suppress(OSError):
            (directory / name / str(self.rank)).touch()
        return self.on_main(count) == self.world_size

    def _check_same_code(self) -> None:
        """Raise RankError, on every rank, if a rank has not started, or runs another torch or other code."""
        own = f"torch {torch.__version__}, code {code_fingerprint(Path(__file__).parents[1])}"
        found = self._exchange(own, JOIN_TIMEOUT.total_seconds())
        others = [f"rank {rank} has {version}" for rank, version in enumerate(found) if version != found[0]]
        if others:
            self._wait_for_readers()
            shown = "; ".join(others[:3]) + ("; …" if len(others) > 3 else "")
            raise RankError(
                f"All ranks must run the same code with the same torch. Received: rank 0 has {found[0]}; {shown}. "
                "Install the same versions on every machine."
            )

    def _exchange(self, message: str, limit: float | None = None, *, is_failure: bool = False) -> list[str]:
        """Return the messages of all ranks, which wait for each other unless one of them fails.

        Args:
            message: message of this rank.
            limit: seconds to wait; None to wait for as long as all ranks are alive.
            is_failure: whether this rank fails. The other ranks then get its message, and empty ones.

        Raises:
            RankError: if the limit is exceeded.
        """
        assert self._store is not None
        self._meetings += 1
        keys = [f"{self._meetings}/{rank}" for rank in range(self.world_size)]
        failure = f"{self._meetings}/failure"  # a key of its own: to look at those of all ranks would take long
        with communication():
            self._store.set(keys[self.rank], message)
            if is_failure:
                self._store.set(failure, f"{self.rank} {message}")
            pause = 0.001
            start = time.monotonic()
            while not self._store.check(keys):  # in Python, so that signals are handled
                if self._store.check([failure]):
                    failed, _, reason = self._store.get(failure).decode().partition(" ")
                    return [reason if rank == int(failed) else "" for rank in range(self.world_size)]
                if limit is not None and time.monotonic() - start > limit:
                    missing = [str(rank) for rank, key in enumerate(keys) if not self._store.check([key])]
                    raise never_came(f"of {self.world_size} ranks, {', '.join(missing)} did not")
                time.sleep(pause)
                pause = min(2 * pause, _MAX_PAUSE)
            return [self._store.get(key).decode() for key in keys]

    def _wait_for_readers(self) -> None:
        """Wait on rank 0 until all ranks have read the messages of the last exchange, which it may hold in its process.

        A rank that ends without reading them ends the wait after `_READ_TIMEOUT`.
        """
        assert self._store is not None
        keys = [f"{self._meetings}/{rank}/read" for rank in range(self.world_size)]
        end = time.monotonic() + _READ_TIMEOUT
        with contextlib.suppress(RuntimeError):  # the store may end as soon as rank 0 has seen the last key
            self._store.set(keys[self.rank], "")
            while self.is_main and not self._store.check(keys) and time.monotonic() < end:
                time.sleep(_MAX_PAUSE)


@contextmanager
def communication() -> Iterator[None]:
    """Raise RankError in place of the errors by which torch reports that another rank is gone or does not answer."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise lost_rank(error) from error


def is_lost_rank(error: Exception) -> bool:
    """Return True if torch reports by an error that another rank is gone or does not answer.

    Sharded models communicate within forward and backward passes, whose other errors are no matter of ranks.
    """
    return isinstance(error, dist.DistError) or any(name in str(error) for name in ("gloo", "NCCL"))


def _reason(error: Exception) -> str:
    """Return what the other ranks are told of an error."""
    if isinstance(error, (UserError, OSError)):
        return str(error)
    return "Out of memory." if is_out_of_memory(error) else shorten(f"{type(error).__name__}: {error}")


def lost_rank(error: Exception) -> LostRankError:
    """Return the error to raise in place of one that reports a lost rank."""
    reason = shorten(_SOURCE_PLACE.sub("", str(error).splitlines()[0]).split(". This is typically")[0])
    is_timeout = "timed out" in reason.lower() or "timeout" in reason.lower()
    what = f"did not answer for {_TIMEOUT.total_seconds() / 60:.0f} minutes" if is_timeout else "ended"
    return LostRankError(
        f"Another rank {what} ({reason}). Its own message, or that of the program that started it, says why. "
        "The same command resumes the run."
    )


def is_sharded(tensor: Tensor) -> TypeGuard[DTensor]:
    """Return True if a tensor is divided among the ranks."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """Return a whole tensor on every rank. Communicates if the tensor is sharded."""
    if not is_sharded(tensor):
        return tensor
    with communication():
        return tensor.full_tensor()


def scale_and_clip(gradients: Iterable[Tensor], scale: Tensor, clip_norm: float) -> Tensor:
    """Multiply gradients by `scale`, then clip their total norm, in one pass over them.

    Args:
        gradients: changed in place; whole and the same on all ranks, or sharded.
        scale: float32 scalar: 1 / number of tokens that the gradients sum over.
        clip_norm: maximum norm; 0 disables clipping.

    Returns:
        The norm after scaling and before clipping, a float32 scalar.
    """
    gradients = list(gradients)
    norm = whole(torch.nn.utils.get_total_norm(gradients)) * scale
    if clip_norm:
        scale = scale * (clip_norm / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, scale)
    return norm
