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


def require_objective(config: Config, path: Path, objective: ObjectiveName) -> None:
    """Check the objective of a model.

    Args:
        config: configuration of the model.
        path: directory of the model, for the message.
        objective: required objective.

    Raises:
        DecodingError: if the model was trained for another objective; the message names the right command.
    """
    trained = config.training.objective
    if trained == objective:
        return
    if trained in _VERBS:
        advice = f"Run `translator {_VERBS[trained]} {path}`."
    else:
        advice = f"It is pre-trained: train another model with training.start_from: {path}."
    raise DecodingError(
        f"The model must be trained for {objective}. Received: {path} ({config.model.architecture}), trained for "
        f"{trained}. {advice}"
    )


def require_same_vocabulary(first: LoadedModel, other: LoadedModel) -> None:
    """Check that two models can predict together.

    Raises:
        DecodingError: if their vocabularies differ.
    """
    for side in ("source", "target"):
        tokenizers = [getattr(each.tokenizers, side) for each in (first, other)]
        pieces = [each.pieces(range(each.vocab_size)) for each in tokenizers]
        if pieces[0] != pieces[1]:
            raise DecodingError(
                f"The models of an ensemble must have the same {side} vocabulary. Received: {first.path} "
                f"({len(pieces[0]):,} pieces) and {other.path} ({len(pieces[1]):,} pieces, or other ones). "
                "Train the models with one tokenizer."
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


def allows_terms(engine: Engine, options: DecodingOptions) -> bool:
    """Return True if a search with these options finds outputs that have the terms of their requests."""
    return engine.serves_terms and not options.is_random and (options.num_beam_groups == 1 or bool(options.sample))


def require_terms(engine: Engine, options: DecodingOptions, *, has_hard: bool) -> None:
    """Check that translations can have given terms.

    Raises:
        DecodingError: if the engine or, for hard terms, the options do not allow them.
    """
    if not engine.serves_terms:
        raise DecodingError(f"terms require engine: torch. Received: {type(engine).__name__}.")
    if has_hard and not allows_terms(engine, options):
        received = "sample=true" if options.is_random else f"num_beam_groups={options.num_beam_groups}"
        raise DecodingError(
            f"Hard terms require a beam or greedy search without groups. Received: {received}. "
            "Mark the terms as soft, or search with a beam."
        )
