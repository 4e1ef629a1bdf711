from __future__ import annotations

import pytest
import torch

from translator.decoding.errors import DecodingError
from translator.engines.hardware import choose_device, choose_dtype, set_threads


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ""])
def test_a_device_that_torch_cannot_use_is_refused(name: str) -> None:
    with pytest.raises(DecodingError, match=rf"device must be auto, cpu, or .* Received: '{name}'\."):
        choose_device(name)


def test_auto_is_cuda_if_there_is_one() -> None:
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
def test_a_number_of_threads_out_of_range_is_refused(threads: int) -> None:
    with pytest.raises(DecodingError, match=rf"threads must be at least 1 and at most 1024\. Received: {threads}\."):
        set_threads(threads)


def test_a_precision_is_a_dtype_and_others_are_refused() -> None:
    assert (choose_dtype("float32"), choose_dtype("bfloat16")) == (torch.float32, torch.bfloat16)
    with pytest.raises(DecodingError, match=r"precision must be float32 or bfloat16\. Received: 'float16'\."):
        choose_dtype("float16")
