"""Checks that a model and an engine fit a task."""

from __future__ import annotations

from pathlib import Path

from translator.checkpoint import LoadedModel
from translator.config import Config, DecodingOptions, ObjectiveName
from translator.decoding.errors import DecodingError
from translator.engines.base import Engine

_VERBS: dict[ObjectiveName, str] = {
    "translation": "translate",
    "language_modeling": "generate",
    "classification": "classify",
}


def require_objective(loaded: LoadedModel, objective: ObjectiveName) -> None:
    """Check the objective of a model.

    Raises:
        DecodingError: if it was trained for another objective; the message names the right command.
    """
    require_trained_for(loaded.config, loaded.path, objective)


def require_trained_for(config: Config, path: Path, objective: ObjectiveName) -> None:
    """Check the objective of the model that `path` names; as `require_objective`."""
    trained = config.training.objective
    if trained == objective:
        return
    if trained in _VERBS:
        advice = f"Run `translator {_VERBS[trained]} {path}`."
    else:
        advice = f"It is pre-trained: train another model with training.start_from: {path}."
    raise DecodingError(
        f"This needs a model trained for {objective}. Received: {path}, an {config.model.architecture} "
        f"trained for {trained}. {advice}".replace("an decoder", "a decoder")
    )


def require_supported(engine: Engine, options: DecodingOptions) -> None:
    """Check that an engine serves the options.

    Raises:
        DecodingError: if it does not support the value of an option.
    """
    unsupported = engine.unsupported(options)
    if unsupported:
        received = ", ".join(f"{name}={getattr(options, name)}" for name in unsupported)
        raise DecodingError(f"{type(engine).__name__} does not support these options. Received: {received}.")
