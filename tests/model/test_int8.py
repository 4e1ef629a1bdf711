"""Inference in int8: linear layers against the exact computation, and models against float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from translator.config import ModelConfig
from translator.engines.scoring import token_log_probabilities
from translator.model import DecoderOnly, EncoderDecoder, EncoderOnly, build_model, int8
from translator.model.int8 import Int8Linear, convert_to_int8, int8_obstacle
from translator.packing import Packed

pytestmark = pytest.mark.skipif(int8_obstacle() is not None, reason="int8 matrix products require an x86 processor")
CPU = torch.device("cpu")


def problem(rows: int, in_features: int, out_features: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs whose rows differ in magnitude by far, weights and bias."""
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, in_features, generator=generator) * torch.logspace(-3, 3, rows)[:, None]
    weight = torch.randn(out_features, in_features, generator=generator) * torch.logspace(-2, 0, out_features)[:, None]
    return x, weight, torch.randn(out_features, generator=generator)


def rounded_product(x: Tensor, weight: Tensor, bias: Tensor, max_input: int) -> Tensor:
    """Product of inputs with one scale per row and weights with one per output, both rounded, in float64."""
    x_scale, weight_scale = (each.abs().amax(1, keepdim=True).double() for each in (x, weight))
    inputs = (x.double() / x_scale * max_input).round() * x_scale / max_input
    weights = (weight.double() / weight_scale * 127).round() * weight_scale / 127
    return inputs @ weights.T + bias.double()


@pytest.mark.parametrize(("rows", "in_features", "out_features"), [(1, 64, 64), (7, 100, 36), (130, 512, 300)])
def test_a_product_is_that_of_rounded_inputs_and_weights(rows: int, in_features: int, out_features: int) -> None:
    x, weight, bias = problem(rows, in_features, out_features)
    layer = Int8Linear(weight, bias)
    exact = F.linear(x.double(), weight.double(), bias.double())
    error = (layer(x) - exact).norm(dim=1) / exact.norm(dim=1)
    rounding = (rounded_product(x, weight, bias, layer.max_input) - exact).norm(dim=1) / exact.norm(dim=1)
    assert layer(x).dtype == torch.float32
    # In float32 a value may round to the other side of a half.
    assert (error <= rounding * 1.02 + 1e-6).all()
    assert error.max() < 0.03


def test_a_row_has_the_same_bits_in_every_batch() -> None:
    x, weight, bias = problem(50, 96, 40)
    layer = Int8Linear(weight, bias)
    together = layer(x)
    assert torch.equal(together, torch.cat([layer(row[None]) for row in x]))
    assert torch.equal(together[10:20], layer(x[10:20]))


def test_a_row_of_zeros_gives_the_bias_and_no_rows_give_none() -> None:
    _, weight, bias = problem(1, 32, 8)
    layer = Int8Linear(weight, bias)
    assert torch.equal(layer(torch.zeros(2, 32)), bias.expand(2, -1))
    assert layer(torch.zeros(0, 32)).shape == (0, 8)
    assert torch.equal(Int8Linear(weight)(torch.zeros(1, 32)), torch.zeros(1, 8))
    assert torch.equal(Int8Linear(torch.zeros(3, 32))(torch.ones(1, 32)), torch.zeros(1, 3))


@pytest.mark.parametrize("has_vnni", [True, False])
def test_the_largest_sums_do_not_overflow(monkeypatch: pytest.MonkeyPatch, has_vnni: bool) -> None:
    """Inputs of 8 bits overflow the 16-bit sums of processors without VNNI, so they have 7 bits there."""
    if has_vnni and not torch.cpu._is_vnni_supported():
        pytest.skip("the processor has no VNNI instructions")
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: has_vnni)
    layer = Int8Linear(torch.ones(4, 4096))
    for sign in (1.0, -1.0):
        assert layer(torch.full((3, 4096), sign)).sub(4096 * sign).abs().max() < 0.01
    x, weight, bias = problem(9, 128, 16)
    wanted = rounded_product(x, weight, bias, 127 if has_vnni else 63)
    assert ((Int8Linear(weight, bias)(x) - wanted).norm(dim=1) / wanted.norm(dim=1)).max() < 2e-3


def test_the_engine_that_packs_is_put_back() -> None:
    before = torch.backends.quantized.engine
    try:
        for engine in set(torch.backends.quantized.supported_engines) - {"none"}:
            torch.backends.quantized.engine = engine
            Int8Linear(torch.ones(4, 4))
            assert torch.backends.quantized.engine == engine
    finally:
        torch.backends.quantized.engine = before


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("encoder_decoder", {}),
        ("encoder_decoder", {"tied_embeddings": "none", "output_bias": True, "norm": "post", "activation": "swiglu"}),
        ("decoder_only", {"positions": "rotary"}),
    ],
)
def test_a_model_in_int8_predicts_nearly_what_it_predicts_in_float32(
    architecture: str, options: dict[str, object]
) -> None:
    config = ModelConfig(architecture=architecture, d_model=64, d_ff=128, encoder_layers=2, decoder_layers=2, **options)
    torch.manual_seed(1)
    model = build_model(config, 100, 100).eval()
    assert isinstance(model, EncoderDecoder | DecoderOnly)
    if isinstance(model, EncoderDecoder) and model.output_bias is not None:
        nn.init.normal_(model.output_bias)
    sources, targets = [[5, 6, 7, 8], [9], [40, 41] * 9], [[10, 11], [12, 13, 14], [50] * 20]
    exact = token_log_probabilities(model, sources, targets, CPU)
    convert_to_int8(model)
    near = token_log_probabilities(model, sources, targets, CPU)
    assert near != exact
    for ours, theirs in zip(near, exact, strict=True):
        assert ours == pytest.approx(theirs, abs=0.15)
    state = model.start(Packed.from_sequences([[5, 6, 7, 2], [9, 2]]))
    assert model.step(torch.tensor([1, 1]), state).dtype == torch.float32


def test_every_linear_layer_of_the_stacks_is_converted() -> None:
    model = build_model(ModelConfig(d_model=32, d_ff=64, encoder_layers=1, decoder_layers=1), 50, 50)
    embedding = model.output_embedding.weight
    convert_to_int8(model)
    converted = [module for module in model.modules() if isinstance(module, Int8Linear)]
    assert len(converted) == 4 + 7 + 1  # encoder layer, decoder layer, projection to the vocabulary
    assert not any(isinstance(module, nn.Linear) for module in model.modules())
    assert model.output_embedding.weight is embedding


def test_a_classifier_in_int8_scores_nearly_what_it_scores_in_float32() -> None:
    config = ModelConfig(architecture="encoder_only", d_model=64, d_ff=128, encoder_layers=2, decoder_layers=2)
    model = build_model(config, 50, 50, num_labels=3).eval()
    assert isinstance(model, EncoderOnly)
    source = Packed.from_sequences([[5, 6, 7, 2], [8, 2]])
    with torch.inference_mode():
        exact = model.class_logits(source)
        convert_to_int8(model)
        assert not torch.equal(model.class_logits(source), exact)
        assert (model.class_logits(source) - exact).abs().max() < 0.05


def test_a_processor_without_the_products_is_an_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    assert int8_obstacle() is None
    monkeypatch.setattr(int8, "_ENGINE", "none")
    assert int8_obstacle() == "torch has no int8 matrix products for this processor"
