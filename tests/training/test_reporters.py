"""Reporters: real runs in the services' own local formats, and what is said where a library is missing."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from translator.cli import main
from translator.config import Config, ConfigError, Reporting, to_yaml
from translator.training import reporters
from translator.training.reporters import ReporterError, check_reporters
from translator.training.trainer import train

Tiny = Callable[..., Config]


def lines(run: Path) -> dict[int, dict[str, float]]:
    """The values of each step in metrics.jsonl."""
    found: dict[int, dict[str, float]] = {}
    for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        found.setdefault(line.pop("step"), {}).update(line)
    return found


def test_a_run_may_report_to_nothing_but_its_file(tiny: Tiny) -> None:
    run = train(tiny(training={"report_to": [], "max_steps": 3}))
    assert 3 in lines(run) and not (run / "tensorboard").exists()


def test_one_service_needs_no_list(tiny: Tiny) -> None:
    assert tiny(training={"report_to": "tensorboard"}).training.report_to == ("tensorboard",)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["comet"], r"training\.report_to\.0: must be 'tensorboard', 'wandb' or 'mlflow'\. Received: 'comet'"),
        (["tensorboard", "tensorboard"], "report_to must not name a service twice"),
    ],
)
def test_services_that_do_not_exist_or_come_twice_are_refused(tiny: Tiny, names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny(training={"report_to": names})


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_library_that_is_missing_is_named_with_its_extra_before_any_data_is_read(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: Reporting
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(reporters.importlib.util, "find_spec", lambda n: None if n == name else find_spec(n))
    message = f"training.report_to: {name} requires the library {name}, which is not installed. Run `pip install"
    with pytest.raises(ReporterError, match=message):
        check_reporters([name])
    config = tiny(training={"report_to": [name]})
    (tmp_path / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    assert main(["train", str(tmp_path / "config.yaml")]) == 2
    said = capsys.readouterr().err
    assert f"'translator[{name}]'" in said and "tokenizer" not in said and "Traceback" not in said
    assert main(["check", str(tmp_path / "config.yaml")]) == 2
    assert f"'translator[{name}]'" in capsys.readouterr().out


def test_mlflow_gets_the_values_and_options_and_a_resumed_run_continues(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for max_steps in (6, 12):
        run = train(tiny(training={"report_to": ["tensorboard", "mlflow"], "max_steps": max_steps}))
    client = MlflowClient((run / "mlruns").as_uri())
    (experiment,) = [each for each in client.search_experiments() if each.name == "translator"]
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED" and found.info.run_name == "run"
    assert found.data.params["model.d_model"] == "32"
    for name, key in (("loss", "loss"), ("valid/loss", "valid_loss"), ("learning/rate", "learning_rate")):
        history = {point.step: point.value for point in client.get_metric_history(found.info.run_id, name)}
        assert history == {step: values[key] for step, values in lines(run).items() if key in values}


def test_an_unreachable_tracking_server_is_one_message(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://x")
    with pytest.raises(ReporterError, match="mlflow could not start"):
        train(tiny(training={"report_to": ["mlflow"]}))


def test_wandb_gets_the_values_and_a_resumed_run_continues(tiny: Tiny, tmp_path: Path) -> None:
    """Offline, in processes of their own: the service of the library outlives a run in this one."""
    pytest.importorskip("wandb", reason="needs the extra wandb")
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "OMP_NUM_THREADS": "1"}
    for max_steps in (6, 12):
        config = tiny(training={"report_to": ["wandb"], "max_steps": max_steps})
        (tmp_path / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
        command = [sys.executable, "-m", "translator", "train", str(tmp_path / "config.yaml")]
        subprocess.run(command, check=True, env=environment, capture_output=True)
    run = Path(config.output)
    files = sorted((run / "wandb").glob("offline-run-*/run-*.wandb"))
    identity = (run / "wandb_run_id").read_text()
    assert len(files) == 2 and all(identity in file.name for file in files)
    expected, stored = lines(run), {}
    for file in files:
        stored |= history(file)
    assert stored.keys() == expected.keys()
    for step, values in expected.items():
        assert stored[step]["loss"] == pytest.approx(values["loss"])
        assert stored[step].get("valid/loss") == pytest.approx(values.get("valid_loss"))


def history(file: Path) -> dict[int, dict[str, float]]:
    """The values of each step in a file of wandb's offline mode."""
    from wandb.proto import wandb_internal_pb2

    found: dict[int, dict[str, float]] = {}
    for data in records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        items = {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}
        if "step" in items:
            found.setdefault(int(items["step"]), {}).update(items)
    return found


def records(content: bytes) -> Iterator[bytes]:
    """The records of a log in the format of LevelDB: blocks of 32 KiB, after a header of 7 bytes."""
    place, parts = 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:  # the rest of a block is padding
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            yield parts
            parts = b""
