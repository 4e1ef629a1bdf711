"""Locating a model: a path, the name of a bundled model, or an id on the Hugging Face hub."""

from __future__ import annotations

import logging
import re
from importlib.resources import files
from pathlib import Path

from translator.checkpoint.directory import CONFIG_FILE, step_checkpoints
from translator.checkpoint.links import LINKS, follow
from translator.checkpoint.weights import WEIGHTS_FILE, CheckpointError
from translator.config import UserError
from translator.file_input import expand_user

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
EXPORTED_FILE = "model.bin"  # weights in CTranslate2's format
# Never training_state.pt. The last three belong to exported models.
_HUB_FILES = ("*.yaml", "*.model", "*.safetensors", "README.md", EXPORTED_FILE, "config.json", "*_vocabulary.json")

_log = logging.getLogger(__name__)


class ModelNotFoundError(UserError):
    """A model that does not exist."""


def find_model(name: str | Path) -> Path:
    """Return the directory of a model.

    A directory that is not a model does not hide a bundled model of the same name. One that is a model is used, with a
    warning.

    Args:
        name: in this order, an existing path, the name of a bundled model, or a hub id `owner/name`.

    Raises:
        ModelNotFoundError: if it is none of these, or the hub does not have it.
    """
    path = expand_user(name)
    if str(name) in bundled_models():
        if not _is_model(path):
            return _bundle() / str(name)
        _log.warning("using the directory %s, not the bundled model of this name", path.resolve())
    if path.exists():
        return path
    # `runs/x` is a mistyped path, not a hub id, if there is a directory `runs`.
    if _HUB_ID.fullmatch(str(name)) and not path.parent.exists():
        return _download(str(name))
    raise ModelNotFoundError(
        f"A model must be a path, a bundled model or a hub id (owner/name). Received: {name}, which does not exist. "
        f"Bundled models: {', '.join(bundled_models()) or 'none'}."
    )


def bundled_models() -> list[str]:
    """Return the names of the models that are installed with the package."""
    return sorted(config.parent.name for config in _bundle().glob(f"*/{CONFIG_FILE}"))


def is_exported(path: Path) -> bool:
    """Return True if a directory contains a model in CTranslate2's format."""
    return (path / EXPORTED_FILE).is_file()


def locate_weights(path: Path) -> tuple[Path, Path]:
    """Return the folder with configuration and tokenizer, and the weights file, of a run, checkpoint or bundle.

    Of a run, that is the best checkpoint, otherwise the last, otherwise the newest.

    Raises:
        CheckpointError: if the path is none of these.
    """
    if path.name in LINKS and path.is_file():
        path = follow(path.parent, path.name) or path
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise CheckpointError(f"A model must be a directory. Received: {path}, which {what}.")
    if is_exported(path):
        raise CheckpointError(
            f"A model must be a run directory, a checkpoint or a bundle. Received: {path}, which was exported to "
            "CTranslate2's format. Use the model that it was exported from."
        )
    if (path / CONFIG_FILE).exists() and (path / WEIGHTS_FILE).exists():
        return path, path / WEIGHTS_FILE
    if (path / CONFIG_FILE).exists():
        linked = [target for target in (follow(path, link) for link in LINKS) if target is not None]
        complete = [step for step in reversed(step_checkpoints(path)) if (step / WEIGHTS_FILE).exists()]
        for checkpoint in (*linked, *complete):
            return path, checkpoint / WEIGHTS_FILE
        raise CheckpointError(
            f"A model directory must have {WEIGHTS_FILE} or a checkpoint. Received: {path}, with none. "
            "Train it first, or restore the file."
        )
    home = path.parent if path.name in LINKS and not path.is_symlink() else path.resolve().parent.parent
    if (path / WEIGHTS_FILE).exists() and (home / CONFIG_FILE).exists():
        return home, path / WEIGHTS_FILE
    raise CheckpointError(
        f"A model directory must have {CONFIG_FILE} and checkpoints, or {CONFIG_FILE}, a tokenizer and {WEIGHTS_FILE}. "
        f"Received: {path}, with {', '.join(sorted(entry.name for entry in path.iterdir())[:8]) or 'nothing'}."
    )


def _is_model(path: Path) -> bool:
    if is_exported(path):
        return True
    try:
        locate_weights(path)
    except CheckpointError:
        return False
    return True


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
            f"A model must be a path, a bundled model or a hub id (owner/name). Received: {hub_id}, which is not a "
            f"path and which the hub does not have: {reason}"
        ) from error
