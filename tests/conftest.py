"""A model directory with random weights: small, quick to make, the same for all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sentences import PAIRS

from translator import Translator
from translator.checkpoint import CONFIG_FILE, LoadedModel, point, weights_of, write_checkpoint
from translator.config import Config, ModelConfig, TokenizerConfig, to_yaml, validate
from translator.model import build_model
from translator.tokenizer import Tokenizers

torch.set_num_threads(1)  # models this small only lose by more, and much where other processes run


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes by their parameter: gzip writes the time into them, and all xdist workers must have the same ids."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def tokenizers() -> Tokenizers:
    return Tokenizers.train(PAIRS * 20, TokenizerConfig(vocab_size=330), seed=1)


@pytest.fixture(scope="session")
def config() -> Config:
    values = {
        "output": "runs/random",
        "data": {"source_language": "fr", "target_language": "en", "train": "none.tsv"},
        "tokenizer": {"vocab_size": 330},
        "model": {
            "d_model": 32,
            "d_ff": 64,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_heads": 4,
            "decoder_heads": 4,
            "max_positions": 40,
        },
        "decoding": {"beam_size": 3, "batch_tokens": 200, "guard": False},
    }
    return validate(values, "the tests' configuration")


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory, tokenizers: Tokenizers, config: Config) -> Path:
    directory = tmp_path_factory.mktemp("models") / "random"
    directory.mkdir()
    torch.manual_seed(3)
    vocab_size = tokenizers.source.vocab_size
    model = build_model(config.model, vocab_size, vocab_size)
    for parameter in model.parameters():
        parameter.data.mul_(1.5)  # further from uniform, so that translations differ
    (directory / CONFIG_FILE).write_text(to_yaml(config), encoding="utf-8")
    tokenizers.save(directory)
    point(directory, "best", write_checkpoint(directory, "step-1", weights_of(model), tokenizers))
    return directory


@pytest.fixture(scope="session")
def random_translator(model_directory: Path) -> Translator:
    return Translator.load(model_directory, "cpu")


@pytest.fixture(scope="session")
def random_model(config: Config, tokenizers: Tokenizers) -> Callable[..., LoadedModel]:
    """Return a model of the tests' configuration with some values of its `model` section changed."""

    def build(tokenizers: Tokenizers = tokenizers, **changes: Any) -> LoadedModel:
        model_config = ModelConfig.model_validate(config.model.model_dump() | changes)
        torch.manual_seed(1)
        sizes = tokenizers.source.vocab_size, tokenizers.target.vocab_size
        model = build_model(model_config, *sizes).eval()
        for parameter in model.parameters():  # biases and norms of a trained model are not zero and one
            parameter.data += 0.3 * torch.randn_like(parameter) if parameter.ndim == 1 else 0.0
        return LoadedModel(config.model_copy(update={"model": model_config}), tokenizers, model, Path("random"))

    return build
