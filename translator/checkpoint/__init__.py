"""Model directories: reading and writing runs, checkpoints and bundles."""

from translator.checkpoint.bundle import write_bundle
from translator.checkpoint.directory import (
    CARD_FILE,
    CONFIG_FILE,
    locked,
    new_checkpoint,
    newest_checkpoint,
    not_written,
    prune,
    step_checkpoints,
    step_of,
    write_checkpoint,
    write_files,
)
from translator.checkpoint.links import follow, point
from translator.checkpoint.loading import LoadedModel, build_with_weights, load_checkpoint, load_model
from translator.checkpoint.location import locate_weights
from translator.checkpoint.shards import (
    MOMENTS,
    SHARDS_FOLDER,
    SHARDS_KEY,
    check_shards,
    join_state,
    read_whole_state,
    shard_record,
)
from translator.checkpoint.training_state import STATE_FILE, read_training_state
from translator.checkpoint.weights import (
    WEIGHTS_FILE,
    CheckpointError,
    Storage,
    average_weights,
    check_shapes,
    read_weights,
    save_weights,
    set_weights,
    weights_of,
)

__all__ = [
    "CARD_FILE",
    "CONFIG_FILE",
    "MOMENTS",
    "SHARDS_FOLDER",
    "SHARDS_KEY",
    "STATE_FILE",
    "WEIGHTS_FILE",
    "CheckpointError",
    "LoadedModel",
    "Storage",
    "average_weights",
    "build_with_weights",
    "check_shapes",
    "check_shards",
    "follow",
    "join_state",
    "load_checkpoint",
    "load_model",
    "locate_weights",
    "locked",
    "new_checkpoint",
    "newest_checkpoint",
    "not_written",
    "point",
    "prune",
    "read_training_state",
    "read_weights",
    "read_whole_state",
    "save_weights",
    "set_weights",
    "shard_record",
    "step_checkpoints",
    "step_of",
    "weights_of",
    "write_bundle",
    "write_checkpoint",
    "write_files",
]
