"""Model directories: what lies in one, how it is written so that nothing is ever lost, and how it is loaded.

    config.yaml  tokenizer.model  metrics.jsonl  README.md
    checkpoints/step-N/{model.safetensors, training_state.pt}
    best -> checkpoints/step-N    last -> checkpoints/step-N

A checkpoint appears under its name only when it is whole and on the disk. Loading one never runs code: weights are
safetensors and training state is read with `weights_only=True`. A bundle is config, tokenizer and model.safetensors in
one folder and nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from translator.atomic_io import sync, write_whole
from translator.config import Config, DataConfig, UserError, load_config, to_yaml
from translator.model import Model, build_model
from translator.tokenizer import Tokenizers

FORMAT_VERSION = "1"
CONFIG_FILE = "config.yaml"
WEIGHTS_FILE = "model.safetensors"
STATE_FILE = "training_state.pt"
CARD_FILE = "README.md"
_SCALE = ".scale"  # of a matrix in whole numbers

Precision = Literal["float32", "bfloat16", "int8"]


class CheckpointError(UserError):
    """A model directory that cannot be read or written."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for use.

    Attributes:
        config: of the run that made it.
        tokenizers: that it was trained with.
        model: in evaluation mode.
        path: the directory that was asked for.
    """

    config: Config
    tokenizers: Tokenizers
    model: Model
    path: Path


def load_model(path: str | Path, device: torch.device | str = "cpu") -> LoadedModel:
    """Load a run directory (its best checkpoint, otherwise its last), a checkpoint or a bundle.

    Raises:
        CheckpointError: a file is missing, damaged, of another version, or does not belong to the others.
        TokenizerError: the tokenizer is missing or damaged.
        ConfigError: its configuration cannot be used.
    """
    path = Path(path).expanduser()
    home, weights_path = locate_weights(path)
    config = load_config(home / CONFIG_FILE)
    tokenizers = Tokenizers.load(home)
    weights, metadata = read_weights(weights_path)
    if metadata.get("tokenizer") != tokenizers.fingerprint:
        raise CheckpointError(
            f"{weights_path} was trained with another tokenizer than the one in {home}. "
            "Use the tokenizer that lies beside the weights in their own model directory."
        )
    sizes = tokenizers.source.vocab_size, tokenizers.target.vocab_size
    model = build_model(config.model, *sizes, num_labels=len(config.data.labels))
    set_weights(model, weights, weights_path)
    return LoadedModel(config, tokenizers, model.to(device).eval(), path)


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> nn.Module:
    """The bare model of a run directory, checkpoint or bundle, in evaluation mode; raises what `load_model` does."""
    return load_model(path, device).model


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter once, under its first name: tied parameters have several, and one storage."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def set_weights(model: nn.Module, weights: Mapping[str, Tensor], origin: Path | str) -> None:
    """Copy weights into a model of the same shape.

    Raises:
        CheckpointError: names or shapes differ; the first few differences are named.
    """
    own = weights_of(model)
    problems = [f"{name} is missing" for name in own.keys() - weights.keys()]
    problems += [f"{name} is unknown" for name in weights.keys() - own.keys()]
    problems += [
        f"{name} must be {tuple(own[name].shape)}, not {tuple(weights[name].shape)}"
        for name in own.keys() & weights.keys()
        if own[name].shape != weights[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5]) + ("; …" if len(problems) > 5 else "")
        raise CheckpointError(f"{origin} does not fit the model of its configuration: {shown}.")
    for name, parameter in own.items():
        parameter.copy_(weights[name])


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights by name and the metadata of a safetensors file.

    Raises:
        CheckpointError: it is missing, damaged, no safetensors file, or of another version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = _full_weights({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"Weights are a whole safetensors file. Received: {path} ({error}). Nothing else is ever loaded as weights."
        ) from error
    if metadata.get("version") != FORMAT_VERSION:
        raise CheckpointError(
            f"Weights must be of format version {FORMAT_VERSION}. "
            f"Received: {path}, version {metadata.get('version', 'unknown')}."
        )
    return weights, metadata


def read_training_state(checkpoint: Path) -> dict[str, Any]:
    """The training state beside a checkpoint's weights.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        state: dict[str, Any] = torch.load(checkpoint / STATE_FILE, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"Training resumes from a whole {STATE_FILE}. Received: {checkpoint / STATE_FILE} ({error}). "
            f"Delete {checkpoint} and point `last` at an older checkpoint, or start again in an empty directory."
        ) from error
    return state


def write_checkpoint(
    run: Path, name: str, weights: Mapping[str, Tensor], tokenizers: Tokenizers, state: dict[str, Any] | None = None
) -> Path:
    """Write `checkpoints/name`, whole or not at all.

    Args:
        run: the run directory.
        name: `step-N`, or `average`.
        weights: by name; stored as float32.
        tokenizers: that the weights belong to.
        state: training state, where training may go on from here.

    Raises:
        CheckpointError: the disk is full or not writable; what was there before is untouched.
    """
    final = run / "checkpoints" / name
    temporary = final.with_name(f".{name}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _save_weights(temporary, weights, tokenizers)
        if state is not None:
            torch.save(state, temporary / STATE_FILE)
        for file in temporary.iterdir():
            sync(file)
        sync(temporary)
        if final.exists():  # written by a run that was killed before it could point at it
            shutil.rmtree(final)
        temporary.rename(final)
        sync(final.parent)
    except (OSError, SafetensorError, RuntimeError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            f"A checkpoint could not be written to {final}: {error}. Earlier checkpoints are untouched; "
            "free some space or make the directory writable, then run the same command again."
        ) from error
    return final


def write_bundle(loaded: LoadedModel, bundle: Path, precision: Precision = "float32") -> Path:
    """Write a model as a folder to hand on: configuration, tokenizer, weights and, where there is one, the card.

    Args:
        loaded: the model.
        bundle: the folder, which must not exist or be empty; its name becomes the model's.
        precision: of the weights in the file; they are loaded as float32. bfloat16 halves the file, int8 quarters it:
            each row of a matrix becomes whole numbers up to 127 and one float32 scale.

    Raises:
        CheckpointError: there is something at `bundle`, or it cannot be written.
    """
    is_empty = bundle.is_dir() and bundle.name and not any(bundle.iterdir())  # `.` has no name, and cannot be replaced
    if bundle.exists() and not is_empty:
        raise CheckpointError(f"A bundle is written to a new folder. Received: {bundle}, which is there already.")
    home, _ = locate_weights(loaded.path)
    # What the model is, not where it was made.
    data = loaded.config.data.model_copy(update={"cache": DataConfig.model_fields["cache"].default})
    config = loaded.config.model_copy(update={"output": bundle.name, "data": data})
    temporary = bundle.with_name(f".{bundle.name}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write_whole(temporary / CONFIG_FILE, to_yaml(config))
        loaded.tokenizers.save(temporary)
        _save_weights(temporary, weights_of(loaded.model), loaded.tokenizers, precision)
        if (home / CARD_FILE).exists():
            shutil.copy(home / CARD_FILE, temporary)
        temporary.replace(bundle)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(f"A bundle could not be written to {bundle}: {error}.") from error
    return bundle


def point(run: Path, name: str, checkpoint: Path) -> None:
    """Make the link `name` (best or last) point at a checkpoint, at once."""
    temporary = run / f".{name}.partial"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(checkpoint.relative_to(run))
    temporary.replace(run / name)
    sync(run)


def step_of(checkpoint: Path) -> int:
    """The optimizer step of `…/step-N`."""
    return int(checkpoint.name.removeprefix("step-"))


def step_checkpoints(run: Path) -> list[Path]:
    """Checkpoints of a run from oldest to newest."""
    found = [path for path in (run / "checkpoints").glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=step_of)


def prune(run: Path, kept: Sequence[Path]) -> None:
    """Delete checkpoints other than these and those that `best` and `last` point at."""
    needed = {path.resolve() for path in (*kept, run / "best", run / "last")}
    for checkpoint in step_checkpoints(run):
        if checkpoint.resolve() not in needed:
            shutil.rmtree(checkpoint)


def average_weights(checkpoints: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of several checkpoints' weights, summed in float64.

    Raises:
        CheckpointError: there are none, or they are not of one model.
    """
    if not checkpoints:
        raise CheckpointError("Averaging needs at least one checkpoint. Received: none.")
    total: dict[str, Tensor] = {}
    for checkpoint in checkpoints:
        weights, _ = read_weights(checkpoint / WEIGHTS_FILE)
        if total and {n: w.shape for n, w in weights.items()} != {n: w.shape for n, w in total.items()}:
            raise CheckpointError(f"Averaged checkpoints must be of one model. Received: {checkpoint}, of another.")
        for name, weight in weights.items():
            total[name] = total.get(name, 0) + weight.double()
    return {name: (weight / len(checkpoints)).float() for name, weight in total.items()}


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run directory for this process alone; the lock dies with the process, however that ends.

    Raises:
        CheckpointError: another process holds it, or the directory cannot be made or written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / ".lock").open("w")
    except OSError as error:
        raise CheckpointError(f"output must be a writable directory. Received: {run} ({error.strerror}).") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CheckpointError(
                f"One run a directory. Received: {run}, where another run is at work. Choose another output or stop it."
            ) from error
        yield


def _save_weights(
    folder: Path, weights: Mapping[str, Tensor], tokenizers: Tokenizers, precision: Precision = "float32"
) -> None:
    metadata = {"version": FORMAT_VERSION, "tokenizer": tokenizers.fingerprint}
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        weight = weight.to("cpu", torch.float32)
        if precision == "int8" and weight.ndim == 2:
            scale = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127  # (rows,)
            stored[name] = (weight / scale[:, None]).round().to(torch.int8)
            stored[name + _SCALE] = scale
        else:
            stored[name] = weight.to(torch.bfloat16 if precision == "bfloat16" else torch.float32).contiguous()
    save_file(stored, folder / WEIGHTS_FILE, metadata)
    _settle(folder / WEIGHTS_FILE)


def _settle(path: Path) -> None:
    """Make the file of equal weights equal to the byte, and as readable as the folder that it is in.

    safetensors writes metadata in an order that chance decides, into a file that none but its owner may read.
    """
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        settled = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(settled) <= size, "a longer header would run into the weights"
        file.seek(8)
        file.write(settled.ljust(size))
    path.chmod(path.parent.stat().st_mode & 0o666)


def _full_weights(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights from what a file holds: rows of whole numbers times their scale."""
    return {
        name: weight.float() * stored[name + _SCALE][:, None] if name + _SCALE in stored else weight
        for name, weight in stored.items()
        if not name.endswith(_SCALE)
    }


def locate_weights(path: Path) -> tuple[Path, Path]:
    """The folder with configuration and tokenizer, and the weights file, that a path means.

    Raises:
        CheckpointError: it means none.
    """
    if not path.is_dir():
        raise CheckpointError(f"A model is a directory. Received: {path}, which {_what(path)}.")
    if (path / CONFIG_FILE).exists() and (path / WEIGHTS_FILE).exists():
        return path, path / WEIGHTS_FILE
    if (path / CONFIG_FILE).exists():
        for link in ("best", "last"):
            if (path / link).exists():
                return path, path / link / WEIGHTS_FILE
        raise CheckpointError(
            f"A model directory has {WEIGHTS_FILE}, or a best or last checkpoint. Received: {path}, without any. "
            "Train it first, or restore the file."
        )
    home = path.resolve().parent.parent
    if (path / WEIGHTS_FILE).exists() and (home / CONFIG_FILE).exists():
        return home, path / WEIGHTS_FILE
    raise CheckpointError(
        f"A model directory holds {CONFIG_FILE} and checkpoints, or {CONFIG_FILE}, a tokenizer and {WEIGHTS_FILE}. "
        f"Received: {path}, with {', '.join(sorted(entry.name for entry in path.iterdir())[:8]) or 'nothing'}."
    )


def _what(path: Path) -> str:
    return "is a file" if path.exists() else "does not exist"
