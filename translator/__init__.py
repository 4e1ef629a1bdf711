"""French-English translation with a packed PyTorch Transformer: the public Python interface."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from translator.checkpoint import load_checkpoint
    from translator.config import Config, DecodingOptions, load_config
    from translator.documents.translation import translate_document
    from translator.inference.classifier import Classification, Classifier
    from translator.inference.generator import Generation, Generator
    from translator.inference.results import Hypothesis, Score, Translation
    from translator.inference.translator import Translator
    from translator.inspection.attention_maps import AttentionMap, AttentionMaps, attention_maps
    from translator.inspection.embeddings import Embeddings
    from translator.inspection.trace import Trace, trace
    from translator.inspection.worked_example import worked_example

__version__ = "0.1.0"
__all__ = [
    "AttentionMap",
    "AttentionMaps",
    "Classification",
    "Classifier",
    "Config",
    "DecodingOptions",
    "Embeddings",
    "Generation",
    "Generator",
    "Hypothesis",
    "Score",
    "Trace",
    "Translation",
    "Translator",
    "attention_maps",
    "load_checkpoint",
    "load_config",
    "trace",
    "translate_document",
    "worked_example",
]

_HOMES = {
    "AttentionMap": "translator.inspection.attention_maps",
    "AttentionMaps": "translator.inspection.attention_maps",
    "Classification": "translator.inference.classifier",
    "Classifier": "translator.inference.classifier",
    "Config": "translator.config",
    "DecodingOptions": "translator.config",
    "Embeddings": "translator.inspection.embeddings",
    "Generation": "translator.inference.generator",
    "Generator": "translator.inference.generator",
    "Hypothesis": "translator.inference.results",
    "Score": "translator.inference.results",
    "Trace": "translator.inspection.trace",
    "Translation": "translator.inference.results",
    "Translator": "translator.inference.translator",
    "attention_maps": "translator.inspection.attention_maps",
    "load_checkpoint": "translator.checkpoint",
    "load_config": "translator.config",
    "trace": "translator.inspection.trace",
    "translate_document": "translator.documents.translation",
    "worked_example": "translator.inspection.worked_example",
}


def __getattr__(name: str) -> object:
    """Import a public name on first access, so that kernels and model can be imported in a torch-only environment."""
    if name not in _HOMES:
        raise AttributeError(f"module 'translator' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
