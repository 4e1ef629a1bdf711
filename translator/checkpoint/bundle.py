"""Bundles: a model as one folder of configuration, tokenizer, weights and model card, ready to distribute."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors import SafetensorError

from translator.atomic_io import atomic_write, is_new, new_folder
from translator.checkpoint.directory import CARD_FILE, CONFIG_FILE
from translator.checkpoint.loading import LoadedModel
from translator.checkpoint.location import locate_weights
from translator.checkpoint.weights import WEIGHTS_FILE, CheckpointError, Storage, save_weights, weights_of
from translator.config import Config, DataConfig, to_yaml


def portable_config(config: Config, name: str) -> Config:
    """Return the configuration of a model of this name, without paths of the machine that trained it."""
    data = config.data.model_copy(update={"cache": DataConfig.model_fields["cache"].default})
    return config.model_copy(update={"output": name, "data": data})


def write_bundle(loaded: LoadedModel, bundle: Path, storage: Storage = "float32") -> Path:
    """Write a model as a bundle.

    Args:
        loaded: the model.
        bundle: folder to write, which must be absent or empty; its name becomes the name of the model.
        storage: data type of the weights in the file; they are loaded as float32. bfloat16 halves the file, int8
            quarters it.

    Returns:
        The folder.

    Raises:
        CheckpointError: if the folder is not empty or cannot be written.
    """
    if not is_new(bundle):
        raise CheckpointError(f"A bundle must be written to a new folder. Received: {bundle}, which exists.")
    home, _ = locate_weights(loaded.path)
    config = portable_config(loaded.config, bundle.name)
    try:
        with new_folder(bundle) as temporary:
            atomic_write(temporary / CONFIG_FILE, to_yaml(config))
            loaded.tokenizers.save(temporary)
            save_weights(temporary / WEIGHTS_FILE, weights_of(loaded.model), loaded.tokenizers.fingerprint, storage)
            if (home / CARD_FILE).exists():
                shutil.copy(home / CARD_FILE, temporary)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"A bundle could not be written to {bundle}: {error}.") from error
    return bundle
