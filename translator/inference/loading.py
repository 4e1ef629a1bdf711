"""Loading of a model for inference."""

from __future__ import annotations

from pathlib import Path

import torch

from translator.checkpoint import CONFIG_FILE, LoadedModel, load_model, locate_weights
from translator.checkpoint.location import is_exported
from translator.config import Config, load_config
from translator.decoding.errors import DecodingError
from translator.engines import ENGINES
from translator.engines.base import Engine
from translator.engines.ctranslate2_engine import CTranslate2Engine
from translator.engines.hardware import choose_device, choose_precision, set_precision, set_threads
from translator.inference.purpose import require_objective
from translator.model.backends import use_supported_attention
from translator.tokenizer import Tokenizers


def load_to_decode(
    path: Path, device: str, threads: int | None, precision: str | None
) -> tuple[LoadedModel, torch.device]:
    """Return a model and its device.

    Args:
        path: run directory, checkpoint or bundle, as `find_model` returns it.
        device: as in `Translator.load`.
        threads: as in `Translator.load`.
        precision: as in `Translator.load`.

    Raises:
        UserError: as `Translator.load`; also if the model is an exported one.
    """
    set_threads(threads)
    chosen = choose_device(device)
    choose_precision(precision, "float32")
    loaded = load_model(path, str(chosen))
    use_supported_attention(loaded.model)
    set_precision(loaded.model, choose_precision(precision, loaded.config.decoding.precision), chosen)
    return loaded, chosen


def uses_ctranslate2(path: Path, engine: str) -> bool:
    """Return True if a model is to be decoded by CTranslate2.

    Args:
        path: directory of the model.
        engine: `torch`, `ctranslate2`, or `auto`, which is `ctranslate2` for an exported model and `torch` otherwise.

    Raises:
        DecodingError: if the engine is unknown, or if it is `torch` for an exported model.
    """
    if engine not in ENGINES:
        raise DecodingError(f"engine must be {', '.join(ENGINES[:-1])} or {ENGINES[-1]}. Received: {engine!r}.")
    if engine == "torch" and is_exported(path):
        raise DecodingError(
            f"engine: torch requires a model directory. Received: {path}, which was exported to CTranslate2's format. "
            "Use the model that it was exported from."
        )
    return is_exported(path) or engine == "ctranslate2"


def load_ctranslate2(
    path: Path, device: str, threads: int | None, precision: str | None
) -> tuple[Engine, Tokenizers, Config]:
    """Return an engine that decodes with CTranslate2, and the tokenizers and the configuration of its model.

    Args:
        path: directory that `translator export` wrote; or run directory, checkpoint or bundle, which is converted into
            the cache.
        device: as in `Translator.load`.
        threads: as in `Translator.load`.
        precision: as in `Translator.load`. An exported model has the data type that it was exported with.

    Raises:
        UserError: as `Translator.load`.
    """
    set_threads(threads)
    chosen = choose_device(device)
    choose_precision(precision, "float32")
    home = path if is_exported(path) else locate_weights(path)[0]
    config, tokenizers = load_config(home / CONFIG_FILE), Tokenizers.load(home)
    require_objective(config, path, "translation")
    if is_exported(path):
        if precision is not None:
            raise DecodingError(
                f"An exported model has the data type that it was exported with. Received: precision={precision!r}. "
                "Omit it, or export the model again with another quantization."
            )
        directory, compute_type = path, "default"
    else:
        from translator.engines.ctranslate2_cache import converted

        directory, compute_type = (
            converted(path, config.model, tokenizers),
            choose_precision(precision, config.decoding.precision),
        )
    engine = CTranslate2Engine(
        directory,
        tokenizers,
        max_positions=config.model.max_positions,
        device=chosen,
        compute_type=compute_type,
        threads=torch.get_num_threads() if chosen.type == "cpu" else 1,
    )
    return engine, tokenizers, config
