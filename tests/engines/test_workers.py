from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import pytest
import torch

from translator.engines.workers import SingleThreadWorkers


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def threads_of_a_new_thread() -> int:
    """The CPU threads that torch uses in a thread that starts now."""
    found: list[int] = []
    thread = Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_results_come_in_order_and_each_item_has_one_cpu_thread() -> None:
    workers = SingleThreadWorkers()
    for _ in range(2):
        found = list(workers.map(lambda number: (number, torch.get_num_threads()), range(20), 2))
        assert found == [(number, 1) for number in range(20)]
        assert torch.get_num_threads() == threads_of_a_new_thread() == 2


def test_one_item_runs_in_the_calling_thread() -> None:
    assert list(SingleThreadWorkers().map(lambda _: torch.get_num_threads(), [0], 2)) == [2]


def test_threads_that_start_during_a_call_keep_their_cpu_threads() -> None:
    workers, is_running, may_end, found = SingleThreadWorkers(), Event(), Event(), []

    def work(number: int) -> int:
        is_running.set()
        may_end.wait(30)
        return number

    caller = Thread(target=lambda: found.extend(workers.map(work, range(4), 2)))
    caller.start()
    assert is_running.wait(30)
    assert threads_of_a_new_thread() == 2
    may_end.set()
    caller.join()
    assert found == [0, 1, 2, 3]


def test_overlapping_calls_leave_every_calling_thread_its_cpu_threads() -> None:
    workers, barrier = SingleThreadWorkers(), Barrier(4)

    def call(number: int) -> tuple[int, list[int]]:
        barrier.wait(30)
        found = list(workers.map(lambda item: item + number, range(30), 2))
        return torch.get_num_threads(), found

    with ThreadPoolExecutor(4) as pool:
        for number, (threads, found) in enumerate(pool.map(call, range(4))):
            assert (threads, found) == (2, [item + number for item in range(30)])
    assert torch.get_num_threads() == threads_of_a_new_thread() == 2


def test_an_error_is_raised_and_items_not_started_are_left_out() -> None:
    started = []

    def fail(number: int) -> None:
        started.append(number)
        if number == 0:
            raise ValueError(f"number {number}")
        time.sleep(0.002)

    with pytest.raises(ValueError, match="number 0"):
        list(SingleThreadWorkers().map(fail, range(1000), 2))
    assert len(started) < 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_starts_its_own_workers() -> None:
    workers = SingleThreadWorkers()
    assert list(workers.map(abs, [-1, -2], 2)) == [1, 2]
    child = os.fork()
    if not child:
        os._exit(0 if list(workers.map(abs, [-3, -4], 2)) == [3, 4] else 1)
    assert os.waitpid(child, 0)[1] == 0
