"""Packed linear layers against the exact computation, and where they are used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from translator.config import ModelConfig
from translator.engines.scoring import token_log_probabilities
from translator.model import EncoderDecoder, build_model, packed
from translator.model.packed import PackedLinear, pack, packs_well

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
DTYPES = [torch.float32, *([torch.bfloat16] if packs_well(torch.bfloat16) else [])]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 5, 130])
def test_a_product_is_as_exact_as_that_of_torch(rows: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(rows)
    x, weight, bias = (torch.randn(*shape, generator=generator) for shape in ((rows, 96), (40, 96), (40,)))
    x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    exact = F.linear(x.double(), weight.double(), bias.double())
    layer = PackedLinear(weight, bias)
    naive = (F.linear(x, weight, bias).double() - exact).abs().max()
    assert layer(x).dtype == layer.dtype == dtype
    assert (layer(x).double() - exact).abs().max() <= 2 * naive + 1e-6
    assert (PackedLinear(weight)(x).double() - (exact - bias.double())).abs().max() <= 2 * naive + 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_packed_model_predicts_what_it_predicted(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    monkeypatch.setattr(packed, "packs_well", lambda _: True)
    monkeypatch.setattr(packed, "_MIN_FLOAT32_SIZE", 0)
    torch.manual_seed(1)
    config = ModelConfig(d_model=64, d_ff=128, encoder_layers=2, decoder_layers=2, output_bias=True)
    model = build_model(config, 100, 100).eval().to(dtype)
    assert isinstance(model, EncoderDecoder) and model.output_bias is not None
    nn.init.normal_(model.output_bias)
    data = [[5, 6, 7, 8], [9]], [[10, 11], [12, 13, 14]], torch.device("cpu")
    expected = token_log_probabilities(model, *data)
    pack(model)
    stacks = (*model.encoder.modules(), *model.decoder.modules(), model.output_projection)
    assert sum(isinstance(module, PackedLinear) for module in stacks) == 2 * 4 + 2 * 7 + 1
    for ours, theirs in zip(token_log_probabilities(model, *data), expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5 if dtype == torch.float32 else 0.1)


def test_small_weights_in_float32_are_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "packs_well", lambda _: True)
    model = build_model(ModelConfig(d_model=64, d_ff=128, encoder_layers=1, decoder_layers=1), 5000, 5000)
    pack(model)
    assert [name for name, module in model.named_modules() if isinstance(module, PackedLinear)] == ["output_projection"]


def test_only_processors_that_gain_pack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(packed, "_CPU_INFO", info)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert not packs_well(torch.float32)  # no such file
    info.write_text("vendor_id : GenuineIntel\n", encoding="utf-8")
    assert not packs_well(torch.float32)
    info.write_text("vendor_id : AuthenticAMD\n", encoding="utf-8")
    assert packs_well(torch.float32)
    assert not packs_well(torch.float64)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not packs_well(torch.float32)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not packs_well(torch.bfloat16)
