"""Training on streams: nothing is stored, a run resumes bit for bit, and a stream that breaks off ends the run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from translator.checkpoint import newest_checkpoint, read_weights
from translator.cli import main
from translator.config import Config, to_yaml
from translator.data.files import DataError
from translator.training.setup import TrainingError
from translator.training.trainer import train

Tiny = Callable[..., Config]


@pytest.fixture
def streamed(corpus: Path, tmp_path: Path, tiny: Tiny) -> Tiny:
    """Makes a configuration whose training data is a stream of two shards, which a run of 12 steps reads twice."""
    header, *lines = (corpus / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    for number in (0, 1):
        (tmp_path / f"part-{number}.tsv").write_text(header + "".join(lines[number:120:2]), encoding="utf-8")

    def make(output: str = "run", **training: Any) -> Config:
        source = {"file": str(tmp_path / "part-*.tsv"), "streaming": True}
        data = {"train": source, "cache": str(tmp_path / "cache"), "shuffle_rows": 40}
        return tiny(output, data=data, training=training, tokenizer={"sampling_alpha": 0.3, "vocab_size": 320})

    return make


def weights_of_run(run: Path) -> dict[str, torch.Tensor]:
    return read_weights(run / "last" / "model.safetensors")[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_streamed_run_resumes_bit_for_bit_and_stores_no_text(workers: int, streamed: Tiny, tmp_path: Path) -> None:
    whole = train(streamed("whole"))
    run = train(streamed(max_steps=5, data_workers=workers))
    found = newest_checkpoint(run)
    assert found is not None
    place = found[1]["stream"]["position"]
    assert json.loads(json.dumps(place)) == place and place[1][0]["window"][0] >= 0
    train(streamed(data_workers=workers))
    assert weights_of_run(whole).keys() == weights_of_run(run).keys()
    assert all(torch.equal(value, weights_of_run(run)[name]) for name, value in weights_of_run(whole).items())
    assert not (tmp_path / "cache").exists()


def test_a_stream_that_breaks_off_ends_the_run_and_resumes_when_it_is_mended(streamed: Tiny, tmp_path: Path) -> None:
    whole = train(streamed("whole"))
    run = train(streamed(max_steps=4))
    path = tmp_path / "part-1.tsv"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2].rpartition(b"\t")[0] + b"\n" + b" " * 40)  # a row without its tab
    os.truncate(path, len(content))
    with pytest.raises((DataError, TrainingError), match=r"Received: "):
        train(streamed())
    assert (run / "last" / "model.safetensors").exists()
    path.write_bytes(content)
    train(streamed())
    assert all(torch.equal(value, weights_of_run(run)[name]) for name, value in weights_of_run(whole).items())


def test_other_data_behind_the_same_configuration_is_refused(streamed: Tiny, tmp_path: Path) -> None:
    train(streamed(max_steps=4))
    path = tmp_path / "part-0.tsv"
    path.write_text(path.read_text(encoding="utf-8") + "un de plus\tone more\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="A resumed run must keep its training data"):
        train(streamed())


def test_check_reports_the_first_rows_of_streams(
    streamed: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(to_yaml(streamed()), encoding="utf-8")
    assert main(["check", str(tmp_path / "config.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "(first 120 rows)" in shown
    assert "12 steps read about " in shown and "examples of the streams and take" in shown
    assert not (tmp_path / "cache").exists()
