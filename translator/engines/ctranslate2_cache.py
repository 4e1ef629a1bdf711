"""A cache of models in CTranslate2's format, so that a model is converted once and not each time it is loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from translator.atomic_io import new_folder
from translator.checkpoint import load_model, locate_weights
from translator.checkpoint.location import is_exported
from translator.config import ModelConfig
from translator.decoding.errors import DecodingError
from translator.engines.ctranslate2_model import require_convertible, write_model
from translator.file_input import cache_directory
from translator.tokenizer import Tokenizers

_FORMAT = "2"  # of the conversion; a higher number makes older folders of the cache useless


def converted(path: Path, config: ModelConfig, tokenizers: Tokenizers) -> Path:
    """Return the folder of a model in CTranslate2's format, in float32; convert the model if it has not been yet.

    Args:
        path: run directory, checkpoint or bundle.
        config: its `model` section.
        tokenizers: its tokenizers.

    Raises:
        CheckpointError: if the model cannot be loaded.
        DecodingError: if it cannot be converted, or the cache cannot be written.
    """
    _, weights = locate_weights(path)
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    key = "\n".join((_FORMAT, digest, tokenizers.fingerprint, config.model_dump_json()))
    folder = cache_directory() / "ctranslate2" / hashlib.sha256(key.encode()).hexdigest()[:32]
    if is_exported(folder):
        return folder
    require_convertible(config)
    loaded = load_model(path)
    try:
        with new_folder(folder) as temporary:
            write_model(loaded, temporary)
    except OSError as error:
        if not is_exported(folder):  # else another process has written the same folder
            raise DecodingError(
                f"The converted model could not be written to {folder}: {error}. "
                "Free some space, or set XDG_CACHE_HOME to a writable directory."
            ) from error
    return folder
