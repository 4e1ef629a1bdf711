"""Checkpoints that are sent to rank 0, which is on another machine than before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from launching import finish, start_ranks

from translator.checkpoint import read_weights, step_checkpoints, step_of
from translator.config import Config, to_yaml

Tiny = Callable[..., Config]


def test_rank_0_receives_the_run_of_the_rank_that_has_its_newest_checkpoint(
    tiny: Tiny, corpus: Path, tmp_path: Path
) -> None:
    config = tiny(data={"train": "train.tsv", "valid": [], "cache": "cache"}, training={"save_every": 2})
    first, second = folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        shutil.copy(corpus / "train.tsv", folder)
        text = to_yaml(config.model_copy(update={"output": "run"}))
        (folder / "config.yaml").write_text(text, encoding="utf-8")

    def run(stop: int, *folders: Path) -> str:
        results = finish(start_ranks(folders, f"training.max_steps={stop}"))
        assert [code for code, _ in results] == [0] * len(folders), results
        return results[0][1]

    assert "is sent" not in run(4, first, second)
    assert "is sent" not in run(6, first, second)  # rank 0 has the newest
    said = run(6, second, first)  # the ranks are numbered the other way round
    assert "the checkpoint of step 6 is sent from rank 1 to rank 0" in said
    steps = [[step_of(path) for path in step_checkpoints(folder / "run")] for folder in folders]
    assert steps[0] == steps[1] and steps[0][-1] == 6
    weights = [read_weights(folder / "run" / "last" / "model.safetensors")[0] for folder in folders]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    assert (second / "run" / "metrics.jsonl").read_bytes() == (first / "run" / "metrics.jsonl").read_bytes()
    assert "is sent" not in run(8, second, first)
    assert step_of(step_checkpoints(second / "run")[-1]) == 8
    assert "the checkpoint of step 8 is sent from rank 1 to rank 0" in run(8, first, second)  # newer than its own
    assert step_of(step_checkpoints(first / "run")[-1]) == 8
