"""What a translator runs on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from translator.decoding.search import DecodingError

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_THREADS = 1024  # what torch cannot start ends the process, without an exception


def choose_device(name: str) -> torch.device:
    """The device of this name; `auto` is the first CUDA device, or the CPU where there is none.

    Raises:
        DecodingError: it is no device, or not one that is here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise DecodingError(
            f"device must be auto, cpu, or a device that torch can use here, such as cuda. Received: {name!r}. "
            f"torch says: {str(error).splitlines()[0]}"
        ) from error
    return device


def choose_dtype(precision: str) -> torch.dtype:
    """What weights and products are held in.

    Raises:
        DecodingError: it is neither float32 nor bfloat16.
    """
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if precision not in dtypes:
        raise DecodingError(f"precision must be {' or '.join(dtypes)}. Received: {precision!r}.")
    return dtypes[precision]


def set_threads(threads: int | None) -> None:
    """Let torch use so many CPU threads in this process; none changes nothing.

    Raises:
        DecodingError: it is less than one, or more than a machine has.
    """
    if threads is not None:
        if not 1 <= threads <= _MOST_THREADS:
            raise DecodingError(f"threads must be at least 1 and at most {_MOST_THREADS}. Received: {threads}.")
        torch.set_num_threads(threads)


def side_by_side(function: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """`function` of each item, in their order, computed for as many at once as there are threads, each on one.

    A step of decoding is a few hundred small operations. Threads that share each of them mostly wait for one another;
    threads that each have a batch of their own do not.
    """
    if min(threads, len(items)) <= 1:
        yield from map(function, items)
        return
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(function, items)
    finally:
        torch.set_num_threads(before)  # every thread has its own number, but a new one starts with what was set last
