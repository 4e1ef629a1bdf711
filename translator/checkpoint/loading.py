"""Loading a model from a run directory, a checkpoint or a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from translator.checkpoint.directory import CONFIG_FILE
from translator.checkpoint.location import locate_weights
from translator.checkpoint.weights import CheckpointError, check_shapes, read_weights
from translator.config import Config, ModelConfig, load_config
from translator.file_input import expand_user
from translator.model import Model, build_model
from translator.tokenizer import Tokenizers

_MAX_POSITION_NUMBERS = 2**28  # of the tables of positions, which no weights file bounds: 1 GiB


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
    weights = {
        name: weight.to(torch.float32, copy=True) for name, weight in weights.items()
    }  # not mapped from the file
    model = build_with_weights(config, tokenizers, weights, weights_path)
    return LoadedModel(config, tokenizers, model.to(device), path)


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> nn.Module:
    """Load only the model of a run directory, checkpoint or bundle, in evaluation mode.

    Raises:
        UserError: as `load_model`.
    """
    return load_model(path, device).model


def build_with_weights(
    config: Config, tokenizers: Tokenizers, weights: Mapping[str, Tensor], origin: Path | str
) -> Model:
    """Build the model of a configuration, in evaluation mode, around given weights.

    Nothing of the size of the model is allocated, and no random number is drawn: the model is built on the meta device
    and its parameters are then replaced.

    Args:
        config: configuration of the model.
        tokenizers: tokenizers of the model.
        weights: float32 tensors by name; the parameters share their memory.
        origin: path or description of the weights, for error messages.

    Raises:
        CheckpointError: if the weights are not those of the configuration.
    """
    _check_sizes(config.model, weights, origin)
    sizes = tokenizers.source.vocab_size, tokenizers.target.vocab_size
    with torch.device("meta"), _WithoutInitialization():
        model = build_model(config.model, *sizes, num_labels=len(config.data.labels))
    check_shapes(model, weights, origin)
    loaded = {parameter: nn.Parameter(weights[name]) for name, parameter in model.named_parameters()}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, loaded[parameter])  # tied parameters stay one
    return model.eval()


class _WithoutInitialization(TorchFunctionMode):
    """Skips `torch.nn.init`: on the meta device it has no effect, but imports the compiler of torch, half a second."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def _check_sizes(model: ModelConfig, weights: Mapping[str, Tensor], origin: Path | str) -> None:
    """Raise CheckpointError if a model is too large for the weights, before anything of its size is allocated."""
    largest = max((size for weight in weights.values() for size in weight.shape), default=0)
    limits = {
        "encoder_layers": (model.encoder_layers, len(weights)),
        "decoder_layers": (model.decoder_layers, len(weights)),
        "d_model": (model.d_model, largest),
        "d_ff": (model.d_ff, largest),
        "max_positions": (model.max_positions, _MAX_POSITION_NUMBERS // model.d_model),
    }
    for name, (size, limit) in limits.items():
        if size > limit:
            raise CheckpointError(
                f"model.{name} must be at most {limit} for {origin}, by the number and the shapes of its tensors. "
                f"Received: {size}. Restore the configuration of these weights."
            )
