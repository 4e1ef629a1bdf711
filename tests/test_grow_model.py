"""scripts/grow_model.py: the larger model computes what the smaller one does, and all that is new can learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scripts import grow_model
from translator.checkpoint import LoadedModel, load_model
from translator.engines.cross_attention import cross_attention_weights
from translator.errors import UserError
from translator.packing import Packed

SIZES = {"encoder_layers": 5, "decoder_layers": 3, "d_ff": 96}

Build = Callable[..., LoadedModel]


def _hidden(loaded: LoadedModel) -> torch.Tensor:
    source = Packed.from_sequences([[5, 6, 7, 3], [8, 9, 3]])
    target = Packed.from_sequences([[2, 10, 11], [2, 12, 13]])
    hidden: torch.Tensor = loaded.model(source, target)
    return hidden


def test_the_grown_model_computes_the_same_function(random_model: Build) -> None:
    small = random_model()
    large = grow_model.grow(small, SIZES, seed=1)
    assert len(large.model.encoder.layers) == 5
    assert large.model.decoder.layers[2].feed_forward.inner_projection.weight.shape == (96, 32)
    torch.testing.assert_close(_hidden(large), _hidden(small), rtol=1e-5, atol=1e-6)


def test_the_layers_of_the_model_are_spread_evenly_and_the_seed_draws_the_new_units(random_model: Build) -> None:
    small = random_model()
    large, again, other = (grow_model.grow(small, SIZES, seed=seed).model for seed in (1, 1, 2))
    weights = [layer.feed_forward.inner_projection.weight for layer in large.encoder.layers]
    own = [layer.feed_forward.inner_projection.weight for layer in small.model.encoder.layers]
    assert [[torch.equal(weight[:64], each) for each in own].index(True) for weight in weights] == [0, 0, 0, 1, 1]
    new = [model.encoder.layers[0].feed_forward.inner_projection.weight[64:] for model in (large, again, other)]
    assert torch.equal(new[0], new[1]) and not torch.equal(new[0], new[2])


@pytest.mark.parametrize("chosen", [{"alignment_layer": 1}, {"alignment_layer": 2}, {"alignment_head": 2}])
def test_alignments_are_read_from_the_same_weights(random_model: Build, chosen: dict[str, int]) -> None:
    small = random_model(**chosen)
    large = grow_model.grow(small, SIZES, seed=1)
    pairs = [([5, 6, 7], [10, 11]), ([8, 9], [12, 13])]
    expected, found = (
        cross_attention_weights(each.model, *zip(*pairs, strict=True), torch.device("cpu")) for each in (small, large)
    )
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_each_new_layer_and_unit_can_learn(random_model: Build) -> None:
    large = grow_model.grow(random_model(), SIZES, seed=1)
    _hidden(large).square().sum().backward()
    for name, parameter in large.model.named_parameters():
        if ".output_projection.weight" in name:
            assert parameter.grad is not None and parameter.grad.norm() > 0, name
        if "feed_forward.output_projection.weight" in name:
            assert parameter.grad is not None and parameter.grad[:, 64:].norm() > 0, name


def test_the_written_model_is_loaded_by_its_new_sizes(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["grow_model.py", str(model_directory), str(tmp_path / "large"), "--encoder-layers", "3"]
    monkeypatch.setattr("sys.argv", arguments)
    grow_model.main()
    large = load_model(tmp_path / "large")
    assert large.config.model.encoder_layers == 3
    torch.testing.assert_close(_hidden(large), _hidden(load_model(model_directory)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "sizes", "message"),
    [
        ({}, {"d_ff": 32}, "d_ff must be at least 64, which random has. Received: 32."),
        ({"norm": "post"}, SIZES, "Received: random, with norm post and activation relu."),
        ({"activation": "swiglu"}, SIZES, "with norm pre and activation swiglu."),
    ],
)
def test_what_cannot_be_grown_is_refused(
    random_model: Build, changes: dict[str, str], sizes: dict[str, int], message: str
) -> None:
    with pytest.raises(UserError) as error:
        grow_model.grow(random_model(**changes), sizes, seed=1)
    assert message in str(error.value)
