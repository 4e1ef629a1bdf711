"""Loading a model from a run directory, a checkpoint or a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from translator.checkpoint.directory import CONFIG_FILE, locate_weights
from translator.checkpoint.weights import CheckpointError, read_weights, set_weights
from translator.config import Config, load_config
from translator.file_input import expand_user
from translator.model import Model, build_model
from translator.tokenizer import Tokenizers


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for use.

    Attributes:
        config: configuration of the run that trained the model.
        tokenizers: tokenizers that it was trained with.
        model: the model, in evaluation mode.
        path: directory that was asked for.
    """

    config: Config
    tokenizers: Tokenizers
    model: Model
    path: Path


def load_model(path: str | Path, device: torch.device | str = "cpu") -> LoadedModel:
    """Load a run directory (its best checkpoint, otherwise its last), a checkpoint or a bundle.

    Args:
        path: directory.
        device: device of the model.

    Raises:
        CheckpointError: if a file is missing, damaged, of another version, or does not fit the others.
        TokenizerError: if the tokenizer is missing or damaged.
        ConfigError: if the configuration is invalid.
    """
    path = expand_user(path)
    home, weights_path = locate_weights(path)
    config = load_config(home / CONFIG_FILE)
    tokenizers = Tokenizers.load(home)
    weights, metadata = read_weights(weights_path)
    if metadata.get("tokenizer") != tokenizers.fingerprint:
        raise CheckpointError(
            f"{weights_path} was trained with another tokenizer than the one in {home}. "
            "Use the tokenizer from the model directory of these weights."
        )
    sizes = tokenizers.source.vocab_size, tokenizers.target.vocab_size
    model = build_model(config.model, *sizes, num_labels=len(config.data.labels))
    set_weights(model, weights, weights_path)
    return LoadedModel(config, tokenizers, model.to(device).eval(), path)


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> nn.Module:
    """Load only the model of a run directory, checkpoint or bundle, in evaluation mode.

    Raises:
        UserError: as `load_model`.
    """
    return load_model(path, device).model
