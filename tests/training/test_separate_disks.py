"""Two ranks whose directories, data and caches lie on separate disks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from launching import finish, start_ranks, without_key_bias

from translator.checkpoint import newest_checkpoint, read_weights
from translator.config import Config, load_config, to_yaml
from translator.training.trainer import train

Tiny = Callable[..., Config]


@pytest.fixture
def disks(tiny: Tiny, corpus: Path, tmp_path: Path) -> list[Path]:
    """Two folders with a configuration of relative paths and the training data; only the first has validation data."""
    config = tiny(
        model={"dropout": 0.1},
        training={"ema_decay": 0.9},
        data={"train": "train.tsv", "valid": "valid.tsv", "cache": "cache"},
    ).model_copy(update={"output": "run"})
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        shutil.copy(corpus / "train.tsv", folder)
        (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    shutil.copy(corpus / "valid.tsv", folders[0])
    return folders


@pytest.mark.parametrize("parallel", ["replicate", "shard"])
def test_ranks_without_a_shared_disk_give_the_result_of_one_rank_and_resume(
    disks: list[Path], tiny: Tiny, parallel: str
) -> None:
    one = tiny("one", model={"dropout": 0.1}, training={"ema_decay": 0.9, "accumulation": 2})
    train(one)
    expected, _ = read_weights(Path(one.output) / "last" / "model.safetensors")
    assert [
        code for code, _ in finish(start_ranks(disks, f"training.parallel={parallel}", "training.max_steps=6"))
    ] == [0, 0]
    shutil.rmtree(disks[1] / "cache")  # the second machine is replaced
    results = finish(start_ranks(disks, f"training.parallel={parallel}"))
    assert [code for code, _ in results] == [0, 0], results
    assert "resuming from step 6 of 12" in results[0][1] and "resuming" not in results[1][1]
    found, _ = read_weights(disks[0] / "run" / "last" / "model.safetensors")
    for name in expected:
        found_part, expected_part = (without_key_bias(name, weights[name]) for weights in (found, expected))
        torch.testing.assert_close(found_part, expected_part, rtol=1e-4, atol=1e-5)
    assert {path.name for path in disks[1].iterdir()} == {"config.yaml", "train.tsv", "cache"}


def test_rank_0_validates_even_if_the_other_names_no_validation_data(disks: list[Path]) -> None:
    path = disks[1] / "config.yaml"
    config = load_config(path)
    path.write_text(to_yaml(config.model_copy(update={"data": config.data.model_copy(update={"valid": ()})})))
    results = finish(start_ranks(disks, "training.max_steps=2", "training.validate_every=1"))
    assert [code for code, _ in results] == [0, 0], results
    assert all(f"step {step}  valid loss" in results[0][1] for step in (1, 2)), results[0][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data", "All ranks must read the same training data."),
        ("configuration", "training.learning_rate: 0.003 -> 0.001"),
        ("language", "data.source_language: 'fr' -> 'de'"),
        ("directory", "output must be a writable directory"),
    ],
)
def test_ranks_that_cannot_train_together_all_stop_with_the_reason(
    disks: list[Path], change: str, message: str
) -> None:
    match change:
        case "data":
            lines = (disks[1] / "train.tsv").read_text().splitlines(keepends=True)
            (disks[1] / "train.tsv").write_text("".join(lines[:-1]))
        case "configuration":
            path = disks[1] / "config.yaml"
            path.write_text(path.read_text().replace("learning_rate: 0.003", "learning_rate: 0.001"))
        case "language":
            path = disks[1] / "config.yaml"
            path.write_text(path.read_text().replace("source_language: fr", "source_language: de"))
            lines = (disks[1] / "train.tsv").read_text().splitlines(keepends=True)
            (disks[1] / "train.tsv").write_text("".join([lines[0].replace("fr", "de"), *lines[1:]]))
        case "directory":
            (disks[0] / "run").touch()
    for code, error in finish(start_ranks(disks, "training.max_steps=2")):
        assert code == 2, error
        assert message in error and "Traceback" not in error


def test_a_stream_that_breaks_off_on_one_rank_stops_all_ranks_with_the_reason(tiny: Tiny, tmp_path: Path) -> None:
    source = {"file": "train.tsv", "streaming": True}
    config = tiny(
        data={"train": source, "valid": [], "shuffle_rows": 500},
        training={"max_steps": 100_000, "batch_tokens": 1024, "save_every": 5},
    ).model_copy(update={"output": "run"})
    lines = [f"la maison numéro {number}\tthe house number {number}" for number in range(7000)]
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
        (folder / "train.tsv").write_text("\n".join(["fr\ten", *lines]), encoding="utf-8")
        lines[5500] = lines[5500].replace("\t", " ")  # beyond the first rows, which the ranks compare
    for code, error in finish(start_ranks(folders)):
        assert code == 2, error
        assert "Traceback" not in error
        assert "row 5501 of train.tsv" in error
    assert newest_checkpoint(folders[0] / "run") is not None


@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_whose_partner_is_killed_stops_with_one_message(disks: list[Path], killed: int) -> None:
    processes = start_ranks(disks, "training.max_steps=100000")
    while not (disks[0] / "run" / "last").exists():
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    processes[killed].kill()
    code, error = finish(processes)[1 - killed]
    assert code == 2, error
    assert (
        error.count("translator: Another rank ended (") == 1 and "/pytorch/" not in error and "Traceback" not in error
    )
