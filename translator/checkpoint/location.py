"""Where a model is: a path, the name of a model that came with the package, or an id on the Hugging Face hub."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from translator.config import UserError
from translator.file_input import expand_user

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ("*.yaml", "*.model", "*.safetensors", "README.md")  # never training_state.pt


class ModelNotFoundError(UserError):
    """There is no such model."""


def find_model(name: str | Path) -> Path:
    """The directory of a model.

    Args:
        name: in this order, a path that exists, the name of a bundled model, a hub id `owner/name`.

    Raises:
        ModelNotFoundError: it is none of these, or the hub does not give it.
    """
    path = expand_user(name)
    if path.exists():
        return path
    if str(name) in bundled_models():
        return _bundle() / str(name)
    # `runs/x` where there is a folder `runs` is a path with a slip, not a hub id.
    if _HUB_ID.fullmatch(str(name)) and not path.parent.exists():
        return _download(str(name))
    raise ModelNotFoundError(
        f"A model is a path, a bundled model or a hub id (owner/name). Received: {name}; there is no such path. "
        f"Bundled models: {', '.join(bundled_models()) or 'none'}."
    )


def bundled_models() -> list[str]:
    """Names of the models that came with the package."""
    return sorted(config.parent.name for config in _bundle().glob("*/config.yaml"))


def _bundle() -> Path:
    return Path(str(files("translator"))) / "models"


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(_HUB_FILES)))
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelNotFoundError(
            f"A model is a path, a bundled model or a hub id (owner/name). Received: {hub_id}; "
            f"there is no such path, and the hub does not give it: {reason}"
        ) from error
