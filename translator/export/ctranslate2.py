"""Export of a model to CTranslate2's format."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from translator.atomic_io import atomic_write
from translator.checkpoint import CARD_FILE, CONFIG_FILE, LoadedModel, locate_weights
from translator.checkpoint.bundle import portable_config
from translator.config import to_yaml
from translator.engines.ctranslate2_engine import CTranslate2Engine
from translator.engines.ctranslate2_model import Quantization, require_convertible, write_model
from translator.export.folder import export_folder
from translator.export.parity import Parity, compare, require_parity
from translator.inference.translator import Translator


def export_to_ctranslate2(
    loaded: LoadedModel,
    folder: Path,
    rows: Sequence[tuple[str, ...]],
    *,
    quantization: Quantization | None = None,
    has_references: bool = False,
) -> Parity:
    """Write a model that `ctranslate2.Translator` and `Translator.load` load, and compare it with the original.

    Args:
        loaded: the model, on the CPU.
        folder: folder to write, which must be absent or empty.
        rows: source texts, each with a target text, that are translated and scored by both models.
        quantization: data type of the stored weights; None is float32.
        has_references: True if the target texts are translations.

    Returns:
        The comparison.

    Raises:
        DecodingError: if the model cannot be expressed in this format; names all obstacles.
        ExportError: if the folder cannot be written, or the exported model decodes differently.
    """
    require_convertible(loaded.config.model)
    original = Translator.of(loaded)
    with export_folder(folder) as temporary:
        write_model(loaded, temporary, quantization)
        loaded.tokenizers.save(temporary)
        atomic_write(temporary / CONFIG_FILE, to_yaml(portable_config(loaded.config, folder.name)))
        home, _ = locate_weights(loaded.path)
        if (home / CARD_FILE).is_file():
            shutil.copy(home / CARD_FILE, temporary)
        engine = CTranslate2Engine(
            temporary,
            loaded.tokenizers,
            max_positions=original.engine.max_positions,
            compute_type="default" if quantization else "float32",
            threads=torch.get_num_threads(),
        )
        parity = compare(original, engine, rows, has_references=has_references)
        require_parity(parity, is_quantized=quantization is not None)
    return parity
