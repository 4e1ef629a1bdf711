from __future__ import annotations

import pytest
import torch

from translator.decoding.search import DecodingError
from translator.inference.hardware import choose_device, set_threads, side_by_side


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ""])
def test_a_device_that_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(DecodingError, match=rf"device must be auto, cpu, or .* Received: '{name}'\."):
        choose_device(name)


def test_auto_is_cuda_where_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == torch.device("cpu")


def test_threads_are_set_for_the_process() -> None:
    before = torch.get_num_threads()
    set_threads(2)
    assert torch.get_num_threads() == 2
    set_threads(None)
    assert torch.get_num_threads() == 2
    set_threads(before)


@pytest.mark.parametrize("threads", [0, 1025, 10**30])
def test_threads_that_no_machine_has_are_refused(threads: int) -> None:
    with pytest.raises(DecodingError, match=rf"threads must be at least 1 and at most 1024\. Received: {threads}\."):
        set_threads(threads)


def test_work_side_by_side_comes_back_in_order_and_each_piece_has_one_thread() -> None:
    before = torch.get_num_threads()
    set_threads(2)
    found = list(side_by_side(lambda number: (number, torch.get_num_threads()), range(20), threads=2))
    assert found == [(number, 1) for number in range(20)]
    assert torch.get_num_threads() == 2
    set_threads(before)


def test_an_error_in_work_side_by_side_is_raised_and_what_has_not_begun_is_left() -> None:
    begun = []

    def fail(number: int) -> None:
        begun.append(number)
        raise DecodingError(f"number {number}")

    with pytest.raises(DecodingError, match="number 0"):
        list(side_by_side(fail, range(1000), threads=2))
    assert len(begun) < 1000
