"""Model directories: reading and writing runs, checkpoints and bundles."""

from translator.checkpoint.bundle import write_bundle
from translator.checkpoint.directory import (
    CARD_FILE,
    CONFIG_FILE,
    locked,
    newest_checkpoint,
    prune,
    step_checkpoints,
    step_of,
    write_checkpoint,
)
from translator.checkpoint.links import follow, point
from translator.checkpoint.loading import LoadedModel, build_with_weights, load_checkpoint, load_model
from translator.checkpoint.location import locate_weights
from translator.checkpoint.training_state import STATE_FILE, read_training_state
from translator.checkpoint.weights import (
    WEIGHTS_FILE,
    CheckpointError,
    Storage,
    average_weights,
    read_weights,
    save_weights,
    set_weights,
    weights_of,
)

__all__ = [
    "CARD_FILE",
    "CONFIG_FILE",
    "STATE_FILE",
    "WEIGHTS_FILE",
    "CheckpointError",
    "LoadedModel",
    "Storage",
    "average_weights",
    "build_with_weights",
    "follow",
    "load_checkpoint",
    "load_model",
    "locate_weights",
    "locked",
    "newest_checkpoint",
    "point",
    "prune",
    "read_training_state",
    "read_weights",
    "save_weights",
    "set_weights",
    "step_checkpoints",
    "step_of",
    "weights_of",
    "write_bundle",
    "write_checkpoint",
]
