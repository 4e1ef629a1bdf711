"""The checkpoints that a run keeps, and the links it restores."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from translator.checkpoint import SHARDS_FOLDER, SHARDS_KEY, CheckpointError, follow, point, shard_record
from translator.config import TrainingConfig
from translator.tokenizer import Tokenizers
from translator.training.checkpoints import RunCheckpoints

WEIGHTS = {"w": torch.ones(2, 3)}
STATE = {"progress": {"best_step": None}}


@pytest.fixture
def checkpoints(tmp_path: Path, tokenizers: Tokenizers) -> RunCheckpoints:
    options = TrainingConfig(save_every=10, max_steps=25, keep_last=2)
    return RunCheckpoints(tmp_path, options, tokenizers)


def names(checkpoints: RunCheckpoints) -> list[str]:
    return [path.name for path in checkpoints.regular()]


def test_regular_checkpoints_are_those_of_an_uninterrupted_run(checkpoints: RunCheckpoints, tmp_path: Path) -> None:
    for step in (3, 10, 13, 20, 22):
        checkpoints.save(step, WEIGHTS, STATE, is_best=step == 3)
    assert names(checkpoints) == ["step-10", "step-20"]
    assert follow(tmp_path, "last") == tmp_path / "checkpoints" / "step-22"
    checkpoints.save(25, WEIGHTS, STATE, is_best=False)
    assert names(checkpoints) == ["step-20", "step-25"]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-20", "step-25", "step-3"]


def test_the_checkpoint_at_which_patience_ended_a_run_is_regular(checkpoints: RunCheckpoints) -> None:
    checkpoints.save(7, WEIGHTS, STATE, is_best=False)
    assert names(checkpoints) == []
    checkpoints.stop_early(7)
    assert names(checkpoints) == ["step-7"]
    weights, count = checkpoints.average(2)
    assert count == 1 and torch.equal(weights["w"], WEIGHTS["w"])


@pytest.mark.parametrize("best", [None, "step-10", "average"])
def test_links_are_restored_to_where_the_run_stood(
    checkpoints: RunCheckpoints, tmp_path: Path, best: str | None
) -> None:
    for step in (10, 20):
        checkpoints.save(step, WEIGHTS, STATE, is_best=False)
    checkpoints.save_average(WEIGHTS)
    (tmp_path / "last").unlink()
    if best is not None:  # a run that was killed before it linked its best step; an average that a person chose
        point(tmp_path, "best", tmp_path / "checkpoints" / best)
    checkpoints.restore_links(20, best_step=20)
    assert follow(tmp_path, "last") == tmp_path / "checkpoints" / "step-20"
    assert follow(tmp_path, "best") == tmp_path / "checkpoints" / ("average" if best == "average" else "step-20")
    checkpoints.restore_links(20, best_step=None)
    checkpoints.restore_links(20, best_step=99)
    assert follow(tmp_path, "best") is not None


def test_the_checkpoint_to_go_back_to_outlives_newer_ones_and_going_back_deletes_these(
    checkpoints: RunCheckpoints, tmp_path: Path
) -> None:
    good = {"progress": {"best_step": 3}}
    for step in (3, 10, 20, 22, 25):
        checkpoints.save(step, WEIGHTS, good, is_best=step in (3, 20), needed=(10, 3, None))
    assert names(checkpoints) == ["step-10", "step-20", "step-25"]
    state, origin = checkpoints.go_back(10)
    assert state == good and origin.endswith("step-10")
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-10", "step-3"]
    assert follow(tmp_path, "last") == tmp_path / "checkpoints" / "step-10"
    assert follow(tmp_path, "best") == tmp_path / "checkpoints" / "step-3"


@pytest.mark.parametrize("damage", ["damaged", "missing"])
def test_going_back_to_a_checkpoint_with_a_damaged_shard_is_refused_and_deletes_nothing(
    checkpoints: RunCheckpoints, tmp_path: Path, damage: str
) -> None:
    with checkpoints.new(10, is_best=False) as folder:
        shard = folder / SHARDS_FOLDER / "shard"
        shard.parent.mkdir()
        shard.write_bytes(b"tensors")
        checkpoints.write(folder, WEIGHTS, {**STATE, SHARDS_KEY: {"shard": shard_record(shard)}})
    checkpoints.save(20, WEIGHTS, STATE, is_best=False)
    shard = tmp_path / "checkpoints" / "step-10" / SHARDS_FOLDER / "shard"
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(b"tensorz")
    with pytest.raises(CheckpointError, match=f"its shard shard is {damage}"):
        checkpoints.go_back(10)
    assert follow(tmp_path, "last") == tmp_path / "checkpoints" / "step-20"
