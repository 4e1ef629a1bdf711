"""What a model was trained for, and what to run with it."""

from __future__ import annotations

from translator.checkpoint import LoadedModel
from translator.config import Objective
from translator.decoding.search import DecodingError

_VERBS: dict[Objective, str] = {
    "translation": "translate",
    "language_modeling": "generate",
    "classification": "classify",
}


def require_objective(loaded: LoadedModel, objective: Objective) -> None:
    """Refuse a model that was trained for something else, and say what it is for.

    Raises:
        DecodingError: it was.
    """
    trained = loaded.config.training.objective
    if trained == objective:
        return
    if trained in _VERBS:
        advice = f"Run `translator {_VERBS[trained]} {loaded.path}`."
    else:
        advice = f"It is pre-trained: train another model with training.start_from: {loaded.path}."
    raise DecodingError(
        f"This needs a model trained for {objective}. Received: {loaded.path}, an {loaded.config.model.architecture} "
        f"trained for {trained}. {advice}".replace("an decoder", "a decoder")
    )
