"""Sharded training states: tensors divided among safetensors files, which several ranks write and read.

    checkpoints/step-N/{model.safetensors, training_state.pt, shards/shard-R-….safetensors}

`training_state.pt` holds everything but the large tensors, and size and CRC-32 of each shard. The shards are those of
`torch.distributed.checkpoint.HuggingFaceStorageWriter`: reading them runs no code.
"""

from __future__ import annotations

import warnings
import zlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from translator.checkpoint.training_state import STATE_FILE
from translator.checkpoint.weights import CheckpointError
from translator.errors import shorten

SHARDS_FOLDER = "shards"
SHARDS_KEY = "shards"  # in a training state: [size, CRC-32] by file name
MOMENTS = ("exp_avg", "exp_avg_sq")  # tensors that Adam keeps per parameter
_READ_BYTES = 1 << 22


def shard_record(path: Path) -> list[int]:
    """Return the size and the CRC-32 of a file."""
    size = checksum = 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            size += len(data)
            checksum = zlib.crc32(data, checksum)
    return [size, checksum]


def check_shards(checkpoint: Path, state: Mapping[str, Any]) -> None:
    """Raise CheckpointError if a shard of a training state is missing or damaged; states without shards pass."""
    shards = state.get(SHARDS_KEY, {})
    if not isinstance(shards, dict):
        raise _unusable(checkpoint, f"its list of shards is a {type(shards).__name__}")
    for name, record in shards.items():
        path = checkpoint / SHARDS_FOLDER / str(name)
        if Path(str(name)).name != name or not path.is_file():
            raise _unusable(checkpoint, f"its shard {shorten(name)} is missing")
        try:
            found = shard_record(path)
        except OSError as error:
            raise _unusable(checkpoint, f"its shard {name} cannot be read: {error}") from error
        if found != record:
            raise _unusable(checkpoint, f"its shard {name} is damaged")


def read_whole_state(checkpoint: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a training state with all its tensors; one without shards is returned as it is.

    Args:
        checkpoint: checkpoint whose shards are intact.
        state: content of its `training_state.pt`.

    Raises:
        CheckpointError: if the shards are not those of the state.
    """
    if SHARDS_KEY not in state:
        return dict(state)
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata
    from torch.distributed.checkpoint.state_dict_loader import load

    reader = HuggingFaceStorageReader(str(checkpoint / SHARDS_FOLDER))
    try:
        stored = reader.read_metadata().state_dict_metadata
        tensors: dict[str, Any] = {
            name: torch.empty(tensor.size, dtype=tensor.properties.dtype)
            for name, tensor in stored.items()
            if isinstance(tensor, TensorStorageMetadata)
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that nothing is distributed
            load(tensors, storage_reader=reader, no_dist=True)
        return join_state(state, tensors)
    except (Exception, CheckpointException) as error:  # whatever the shards may hold
        raise _unusable(checkpoint, f"its shards cannot be read: {shorten(str(error))}") from error


def join_state(state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return a whole training state.

    Args:
        state: everything but the large tensors. `parameters` lists the names of the parameters in the order of the
            optimizer.
        tensors: by name: `weights.NAME`, `average.NAME`, and `MOMENT.NAME` for each of `MOMENTS`.
    """
    kinds: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        kind, _, parameter = name.partition(".")
        kinds[kind][parameter] = tensor
    names: list[str] = state["parameters"]
    moments = {
        number: {**own, **{name: kinds[name][names[number]] for name in MOMENTS if names[number] in kinds[name]}}
        for number, own in state["optimizer"]["state"].items()
    }
    joined = {name: value for name, value in state.items() if name not in ("parameters", SHARDS_KEY)}
    return {
        **joined,
        "weights": kinds["weights"],
        "optimizer": {**state["optimizer"], "state": moments},
        "average": state["average"] and {**state["average"], "weights": kinds["average"]},
    }


def _unusable(checkpoint: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"Training must resume from a {STATE_FILE} with all its shards. Received: {checkpoint} ({reason}). "
        f"Delete it to resume from an older checkpoint, or choose another output."
    )
