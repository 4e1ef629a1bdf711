from __future__ import annotations

import pytest
import torch

from translator.config import ModelConfig
from translator.decoding.errors import DecodingError
from translator.engines import hardware
from translator.engines.hardware import choose_device, choose_precision, set_precision, set_threads
from translator.model import Model, build_model
from translator.model.int8 import Int8Linear, int8_obstacle


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


def test_a_requested_precision_overrides_the_configured_one_and_others_are_refused() -> None:
    assert choose_precision(None, "int8") == "int8"
    assert choose_precision("bfloat16", "int8") == "bfloat16"
    for name in ("float16", ""):
        with pytest.raises(DecodingError, match=rf"precision must be float32, bfloat16 or int8\. Received: '{name}'\."):
            choose_precision(name, "float32")


def test_a_model_has_its_precision() -> None:
    def tiny() -> Model:
        return build_model(ModelConfig(d_model=8, d_ff=8, encoder_layers=1, decoder_layers=1), 9, 9)

    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        model = tiny()
        set_precision(model, name, torch.device("cpu"))
        assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    if int8_obstacle() is None:
        model = tiny()
        set_precision(model, "int8", torch.device("cpu"))
        assert any(isinstance(module, Int8Linear) for module in model.modules())


def test_int8_is_refused_where_it_cannot_be_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(ModelConfig(d_model=8, d_ff=8, encoder_layers=1, decoder_layers=1), 9, 9)
    with pytest.raises(DecodingError, match=r"precision: int8 cannot be used on cuda:1: engine: torch computes in"):
        set_precision(model, "int8", torch.device("cuda:1"))
    monkeypatch.setattr(hardware, "int8_obstacle", lambda: "no units")
    with pytest.raises(DecodingError, match=r"precision: int8 cannot be used on cpu: no units\. Use float32"):
        set_precision(model, "int8", torch.device("cpu"))
    assert not any(isinstance(module, Int8Linear) for module in model.modules())
