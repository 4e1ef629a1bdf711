"""Weights in safetensors files: formats, reading, writing, averaging.

The metadata of a file holds the format version, the fingerprint of the tokenizers, and a checksum of each tensor. Files
of earlier versions have no checksums and are read without this check.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from translator.checkpoint.conversion import from_format_1
from translator.errors import UserError, shorten

FORMAT_VERSION = "2"
WEIGHTS_FILE = "model.safetensors"
_SCALE = ".scale"  # suffix of the float32 scales of an int8 matrix
_CHECKSUMS = "checksums"  # metadata key: JSON of CRC-32 by tensor name

Storage = Literal["float32", "bfloat16", "int8"]


class CheckpointError(UserError):
    """A model directory that cannot be read or written."""


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return every parameter once, under its first name; tied parameters have several names and one storage."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def set_weights(model: nn.Module, weights: Mapping[str, Tensor], origin: Path | str) -> None:
    """Copy weights into a model of the same shape.

    Args:
        model: changed in place.
        weights: tensors by name.
        origin: path or description of the weights, for error messages.

    Raises:
        CheckpointError: if names or shapes differ; the first few differences are named.
    """
    check_shapes(model, weights, origin)
    for name, parameter in weights_of(model).items():
        parameter.copy_(weights[name])


def check_shapes(model: nn.Module, weights: Mapping[str, Tensor], origin: Path | str) -> None:
    """Raise CheckpointError unless names and shapes of weights are those of a model; arguments as in `set_weights`."""
    own = weights_of(model)
    problems = [f"{name} is missing" for name in own.keys() - weights.keys()]
    problems += [f"{shorten(name)} is unknown" for name in weights.keys() - own.keys()]
    problems += [
        f"{name} must be {tuple(own[name].shape)}, not {tuple(weights[name].shape)}"
        for name in own.keys() & weights.keys()
        if own[name].shape != weights[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5]) + ("; …" if len(problems) > 5 else "")
        raise CheckpointError(f"{origin} does not fit the model of its configuration: {shown}.")


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the weights by name and the metadata of a safetensors file; weights of format 1 are converted.

    Raises:
        CheckpointError: if the file is missing, damaged, not a safetensors file, or of an unknown format version.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("not a regular file")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"Weights must be a complete safetensors file. Received: {path} ({shorten(str(error))}). "
            "No other format is loaded as weights."
        ) from error
    version = metadata.get("version")
    if version not in ("1", FORMAT_VERSION):
        raise CheckpointError(
            f"Weights must be of format version 1 or {FORMAT_VERSION}. "
            f"Received: {path}, version {metadata.get('version', 'unknown')}."
        )
    _check_checksums(stored, metadata, path)
    weights = _scaled(stored, path)
    return from_format_1(weights) if version == "1" else weights, metadata


def save_weights(path: Path, weights: Mapping[str, Tensor], tokenizer: str, storage: Storage = "float32") -> None:
    """Write a safetensors file whose bytes depend on the arguments alone.

    Args:
        path: file to write.
        weights: tensors by name.
        tokenizer: fingerprint of the tokenizers that the weights were trained with.
        storage: data type in the file; weights are loaded as float32. int8 stores each row of a matrix as integers of
            at most 127 in magnitude and one float32 scale.

    Raises:
        OSError, SafetensorError: if the file cannot be written.
    """
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        weight = weight.to("cpu", torch.float32)
        if storage == "int8" and weight.ndim == 2:
            scale = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127  # (rows,)
            stored[name] = (weight / scale[:, None]).round().to(torch.int8)
            stored[name + _SCALE] = scale
        else:
            stored[name] = weight.to(torch.bfloat16 if storage == "bfloat16" else torch.float32).contiguous()
    checksums = json.dumps({name: _checksum(tensor) for name, tensor in sorted(stored.items())}, separators=(",", ":"))
    save_file(stored, path, {"version": FORMAT_VERSION, "tokenizer": tokenizer, _CHECKSUMS: checksums})
    _normalize_file(path)


def average_weights(checkpoints: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of the weights of several checkpoints, summed in float64.

    Raises:
        CheckpointError: if there are no checkpoints, or they are not of one model.
    """
    if not checkpoints:
        raise CheckpointError("Averaging requires at least one checkpoint, and the list of checkpoints is empty.")
    total: dict[str, Tensor] = {}
    for checkpoint in checkpoints:
        weights, _ = read_weights(checkpoint / WEIGHTS_FILE)
        if total and {n: w.shape for n, w in weights.items()} != {n: w.shape for n, w in total.items()}:
            raise CheckpointError(f"Averaged checkpoints must be of one model. Received: {checkpoint}, of another.")
        for name, weight in weights.items():
            total[name] = total.get(name, 0) + weight.double()
    return {name: (weight / len(checkpoints)).float() for name, weight in total.items()}


def _checksum(tensor: Tensor) -> int:
    """Return the CRC-32 of the data type, the shape and the bytes of a CPU tensor."""
    header = f"{tensor.dtype} {tuple(tensor.shape)}".encode()
    return zlib.crc32(tensor.contiguous().flatten().view(torch.uint8).numpy().data, zlib.crc32(header))


def _check_checksums(stored: Mapping[str, Tensor], metadata: Mapping[str, str], path: Path) -> None:
    """Raise CheckpointError if a tensor is not the one that was written; files without checksums pass."""
    if _CHECKSUMS not in metadata:
        return
    try:
        expected: dict[str, int] = dict(json.loads(metadata[_CHECKSUMS]))
    except (ValueError, TypeError):
        expected = {}
    damaged = [name for name in expected.keys() | stored.keys() if name not in stored]
    damaged += [name for name, tensor in stored.items() if expected.get(name) != _checksum(tensor)]
    if damaged:
        shown = ", ".join(shorten(name) for name in sorted(damaged)[:3]) + (", …" if len(damaged) > 3 else "")
        raise CheckpointError(
            f"Weights must match the checksums stored with them. Received: {path}, with {len(damaged)} damaged or "
            f"missing tensors ({shown}). Copy the file again from its origin, or use another checkpoint."
        )


def _scaled(stored: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the weights that a file stores: int8 rows are multiplied by their scales.

    Raises:
        CheckpointError: if scales and int8 matrices do not belong together.
    """
    weights: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) in stored:
            continue
        scale = stored.get(name + _SCALE)
        if scale is None:
            is_valid = tensor.is_floating_point()
        else:
            is_valid = tensor.dtype == torch.int8 and scale.dtype == torch.float32
            is_valid = is_valid and tensor.ndim == 2 and scale.shape == tensor.shape[:1]
        if not is_valid or name.endswith(_SCALE):
            raise CheckpointError(
                "Weights must be floating-point tensors, or int8 matrices with one float32 scale per row. "
                f"Received: {path}, tensor {shorten(name)} of {tensor.dtype} {tuple(tensor.shape)}"
                + ("." if scale is None else f" with scales of {scale.dtype} {tuple(scale.shape)}.")
            )
        weights[name] = tensor if scale is None else tensor.float() * scale[:, None]
    return weights


def _normalize_file(path: Path) -> None:
    """Make files of equal weights equal to the byte, and as readable as the folder that they are in.

    safetensors writes the metadata in random order, into a file that only its owner can read.
    """
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        content = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(content) <= size, "a longer header would overwrite the weights"
        file.seek(8)
        file.write(content.ljust(size))
    with contextlib.suppress(OSError):  # file systems without modes
        path.chmod(path.parent.stat().st_mode & 0o666)
