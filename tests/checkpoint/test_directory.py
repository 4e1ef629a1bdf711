"""Run directories: checkpoints that are complete or absent, found without the links."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from translator.checkpoint import (
    CheckpointError,
    locked,
    newest_checkpoint,
    point,
    prune,
    read_training_state,
    step_checkpoints,
    write_checkpoint,
)
from translator.checkpoint.training_state import StateVersionError
from translator.tokenizer import Tokenizers

WEIGHTS: dict[str, Tensor] = {"w": torch.ones(30, 20)}


@pytest.fixture
def run(tokenizers: Tokenizers, tmp_path: Path) -> Path:
    """A run directory with the checkpoints of three steps."""
    for step in (4, 8, 20):
        checkpoint = write_checkpoint(tmp_path / "run", f"step-{step}", WEIGHTS, tokenizers, {"step": step, **WEIGHTS})
        point(tmp_path / "run", "last", checkpoint)
    return tmp_path / "run"


def newest_step(run: Path) -> int | None:
    found = newest_checkpoint(run)
    return None if found is None else int(found[1]["step"])


def test_a_checkpoint_is_complete_or_absent(tokenizers: Tokenizers, tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / ".step-5.partial").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".step-5.partial" / "model.safetensors").write_bytes(b"half")
    assert step_checkpoints(tmp_path) == [] and newest_checkpoint(tmp_path) is None
    written = write_checkpoint(tmp_path, "step-5", WEIGHTS, tokenizers, {"step": 5})
    assert step_checkpoints(tmp_path) == [written]
    assert read_training_state(written) == {"step": 5}
    assert not list(tmp_path.glob("checkpoints/.*"))


def test_a_directory_that_cannot_be_written_is_named(tokenizers: Tokenizers, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()  # a file where a folder must be: fails for every user
    with pytest.raises(CheckpointError, match="could not be written to"):
        write_checkpoint(tmp_path, "step-1", WEIGHTS, tokenizers)
    with (
        pytest.raises(
            CheckpointError, match=r"output must be a writable directory\. Received: .* Choose another output"
        ),
        locked(tmp_path / "checkpoints"),
    ):
        pass


def test_links_and_the_kept_survive_pruning(run: Path, tokenizers: Tokenizers) -> None:
    written = step_checkpoints(run)
    write_checkpoint(run, "step-30", WEIGHTS, tokenizers)
    point(run, "best", written[0])
    prune(run, written[1:2])
    assert [path.name for path in step_checkpoints(run)] == ["step-4", "step-8", "step-20"]


@pytest.mark.parametrize("fate", ["present", "missing", "dangling", "older", "folders", "a folder of an older step"])
def test_the_newest_checkpoint_is_found_with_lost_or_changed_links(run: Path, tmp_path: Path, fate: str) -> None:
    match fate:
        case "missing":
            (run / "last").unlink()
        case "dangling":
            (run / "last").unlink()
            (run / "last").symlink_to("checkpoints/step-99")
        case "older":
            point(run, "last", run / "checkpoints" / "step-4")
        case "folders":
            shutil.copytree(run, tmp_path / "copy", symlinks=False)
            run = tmp_path / "copy"
            assert not (run / "last").is_symlink()
        case "a folder of an older step":
            (run / "last").unlink()
            shutil.copytree(run / "checkpoints" / "step-4", run / "last")
    assert newest_step(run) == 20


def test_a_folder_in_place_of_a_link_is_resumed_from_if_the_checkpoints_were_lost(run: Path, tmp_path: Path) -> None:
    point(run, "best", run / "checkpoints" / "step-8")
    shutil.copytree(run, tmp_path / "copy", symlinks=False)
    shutil.rmtree(tmp_path / "copy" / "checkpoints")
    assert newest_step(tmp_path / "copy") == 20


@pytest.mark.parametrize("damage", ["no weights", "no state", "truncated state", "zeros in the weights", "a bit"])
def test_a_checkpoint_that_is_incomplete_or_damaged_is_passed_over_with_a_warning(
    run: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    weights, state = (run / "checkpoints" / "step-20" / name for name in ("model.safetensors", "training_state.pt"))
    match damage:
        case "no weights":
            weights.unlink()
        case "no state":
            state.unlink()
        case "truncated state":
            state.write_bytes(state.read_bytes()[:-50])
        case "zeros in the weights":
            weights.write_bytes(weights.read_bytes()[:-400] + bytes(400))
        case "a bit":
            content = bytearray(state.read_bytes())
            content[len(content) // 2] ^= 16
            state.write_bytes(content)
    assert newest_step(run) == 8
    assert "passed over" in caplog.text and "step-20" in caplog.text


def test_a_checkpoint_of_another_format_is_refused_instead_of_passed_over(run: Path) -> None:
    torch.save({"step": 20}, run / "checkpoints" / "step-20" / "training_state.pt")  # as format 1 was stored
    with pytest.raises(StateVersionError, match=r"version 1\. .* set training\.start_from: .*step-20 and"):
        newest_checkpoint(run)


def test_checkpoints_of_which_none_is_complete_are_listed_and_refused(run: Path, tokenizers: Tokenizers) -> None:
    for checkpoint in step_checkpoints(run):
        (checkpoint / "training_state.pt").unlink()
    write_checkpoint(run, "average", WEIGHTS, tokenizers)
    with pytest.raises(CheckpointError) as failure:
        newest_checkpoint(run)
    message = str(failure.value)
    assert "none that is complete" in message and "choose another output" in message
    assert all(f"{run}/checkpoints/{name}: " in message for name in ("step-4", "step-8", "step-20", "average"))


def test_an_empty_directory_has_no_newest_checkpoint(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "absent") is None


def test_a_lock_is_free_again_when_its_holder_is_gone(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(CheckpointError, match="is locked by another run"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_file_system_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flock(descriptor: object, operation: int) -> None:
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path):
        (tmp_path / "file").touch()
    assert "cannot be locked (Function not implemented): make sure that no other run writes to it" in caplog.text
