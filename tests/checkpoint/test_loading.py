"""Model directories: loaded whole, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from translator.checkpoint import (
    CheckpointError,
    build_with_weights,
    load_checkpoint,
    load_model,
    read_weights,
    weights_of,
)
from translator.config import Config, ConfigError, TokenizerConfig, to_yaml, validate
from translator.model import build_model
from translator.tokenizer import TokenizerError, Tokenizers


def test_a_run_a_checkpoint_and_a_link_load_the_same_model(directory: Path, weights_path: Path) -> None:
    models = [load_checkpoint(path) for path in (directory, directory / "checkpoints" / "step-1", directory / "best")]
    expected, _ = read_weights(weights_path)
    for model in models:
        assert not model.training
        assert weights_of(model).keys() == expected.keys()
        assert all(torch.equal(weight, expected[name]) for name, weight in weights_of(model).items())


@pytest.mark.parametrize("positions", ["learned", "rotary", "sinusoidal"])
@pytest.mark.parametrize("tied_embeddings", ["all", "target", "none"])
def test_a_loaded_model_is_a_built_model_with_its_weights(
    directory: Path, tokenizers: Tokenizers, config: Config, positions: str, tied_embeddings: str
) -> None:
    from translator.checkpoint import set_weights, write_checkpoint

    values = config.model_dump(mode="json")
    values["model"] |= {"positions": positions, "tied_embeddings": tied_embeddings}
    config = validate(values, "test")
    built = build_model(config.model, tokenizers.source.vocab_size, tokenizers.target.vocab_size).eval()
    (directory / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    loaded = load_model(write_checkpoint(directory, "step-1", weights_of(built), tokenizers)).model
    named = dict(loaded.named_parameters(remove_duplicate=False))
    for name, parameter in built.named_parameters(remove_duplicate=False):
        assert torch.equal(named[name], parameter) and named[name].requires_grad, name
    assert len({id(parameter) for parameter in named.values()}) == len(list(built.parameters()))
    for name, buffer in built.named_buffers():
        assert torch.equal(dict(loaded.named_buffers())[name], buffer), name
    set_weights(loaded, weights_of(built), "test")


@pytest.mark.parametrize(
    ("missing", "error", "message"),
    [
        ("config.yaml", CheckpointError, "A model directory must have config.yaml"),
        ("tokenizer.model", TokenizerError, "without them"),
        ("checkpoints/step-1/model.safetensors", CheckpointError, "Weights must be a complete safetensors file"),
    ],
)
def test_a_directory_that_lacks_a_file_is_refused(
    directory: Path, missing: str, error: type[Exception], message: str
) -> None:
    (directory / missing).unlink()
    with pytest.raises(error, match=message):
        load_model(directory)


def test_a_tokenizer_that_does_not_belong_to_the_weights_is_refused(directory: Path) -> None:
    pairs = [("un deux trois", "one two three"), ("quatre cinq", "four five")] * 20
    Tokenizers.train(pairs, TokenizerConfig(vocab_size=280), seed=1).save(directory)
    with pytest.raises(CheckpointError, match="was trained with another tokenizer"):
        load_model(directory)


def test_weights_that_do_not_fit_the_configuration_are_refused_with_the_differences(directory: Path) -> None:
    config = directory / "config.yaml"
    config.write_text(
        config.read_text().replace("d_ff: 64", "d_ff: 48").replace("decoder_layers: 2", "decoder_layers: 1")
    )
    with pytest.raises(CheckpointError, match=r"does not fit the model of its configuration: .* is unknown"):
        load_model(directory)


@pytest.mark.parametrize(
    ("old", "name", "size"),
    [
        ("encoder_layers: 2", "encoder_layers", 1024),
        ("decoder_layers: 2", "decoder_layers", 1000),
        ("d_model: 32", "d_model", 60_000),
        ("d_ff: 64", "d_ff", 1_000_000),
    ],
)
def test_sizes_that_the_weights_cannot_have_are_refused_before_anything_is_built(
    directory: Path, monkeypatch: pytest.MonkeyPatch, old: str, name: str, size: int
) -> None:
    def build(*arguments: object, **options: object) -> None:
        raise AssertionError("a model of this size must not be built")

    monkeypatch.setattr("translator.checkpoint.loading.build_model", build)
    config = directory / "config.yaml"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, f"{name}: {size}"))
    with pytest.raises(CheckpointError, match=rf"model\.{name} must be at most \d+ for .*\. Received: {size}\."):
        load_model(directory)


def test_a_configuration_that_is_invalid_is_refused_as_any_other(directory: Path) -> None:
    (directory / "config.yaml").write_text("output: x\nmodell: 3\n")
    with pytest.raises(ConfigError, match="Did you mean 'model'"):
        load_model(directory)


def test_a_model_built_with_weights_shares_their_memory_and_draws_no_random_number(
    model_directory: Path, tokenizers: Tokenizers, config: Config
) -> None:
    weights, _ = read_weights(model_directory / "best" / "model.safetensors")
    before = torch.get_rng_state()
    model = build_with_weights(config, tokenizers, weights, "test")
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    assert all(parameter.data_ptr() == weights[name].data_ptr() for name, parameter in model.named_parameters())
