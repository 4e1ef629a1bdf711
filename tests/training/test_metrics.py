"""Reports of a run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from translator.config import Config
from translator.training.metrics import Metrics, StepTotals, TrainingProgress, Window, shown_metrics
from translator.training.reporters import make_reporters

Tiny = Callable[..., Config]


def test_a_full_disk_is_reported_with_the_name_of_the_file(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, 0, [])
    metrics._file.close()
    metrics._file = Path("/dev/full").open("w")  # noqa: SIM115 (closed below)
    with pytest.raises(OSError, match="No space left on device") as caught:
        metrics.write(1, {"loss": 2.0})
    assert caught.value.filename == str(tmp_path / "metrics.jsonl")
    with contextlib.suppress(OSError):  # it tries to write the line again
        metrics._file.close()


def test_metrics_forget_what_came_after_the_step_that_a_run_goes_on_from(tmp_path: Path) -> None:
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 2, "lo')  # the last was cut by a kill
    metrics = Metrics(tmp_path, step=2, reporters=[])
    metrics.write(3, {"loss": 0.5})
    metrics.close()
    found = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert found == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 1.0}, {"step": 3, "loss": 0.5}]


def test_a_finished_run_that_is_started_again_reports_its_average_once(tmp_path: Path) -> None:
    for _ in range(2):
        metrics = Metrics(tmp_path, step=2, reporters=[])
        metrics.write(2, {"average_loss": 0.5})
        metrics.close()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


class Recorder:
    """A reporter that keeps what it gets."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self.calls.append(("write", (step, dict(values))))

    def go_back(self, step: int) -> None:
        self.calls.append(("go_back", step))

    def close(self) -> None:
        self.calls.append(("close", None))


def test_reporters_get_the_numbers_of_each_step_and_go_back_with_the_file(tmp_path: Path) -> None:
    recorder = Recorder()
    metrics = Metrics(tmp_path, 0, [recorder])
    metrics.write(1, {"loss": 2.0, "valid_bleu": 30.0, "note": "text"})
    metrics.write(2, {"loss": 1.0})
    metrics.go_back(1)
    metrics.write(2, {"loss": 1.5})
    metrics.close()
    assert recorder.calls == [
        ("write", (1, {"loss": 2.0, "valid/bleu": 30.0})),
        ("write", (2, {"loss": 1.0})),
        ("go_back", 1),
        ("write", (2, {"loss": 1.5})),
        ("close", None),
    ]
    found = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in found] == [(1, 2.0), (2, 1.5)]


def test_tensorboard_shows_the_values_and_hides_those_that_a_run_went_back_by(tiny: Tiny, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    metrics = Metrics(tmp_path, 0, make_reporters(tiny(), tmp_path, 0))
    metrics.write(1, {"loss": 2.0, "valid_bleu": 30.0})
    metrics.write(2, {"loss": 9.0})
    metrics.go_back(1)
    metrics.write(2, {"loss": 1.0})
    metrics.close()
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(board.Tags()["scalars"]) == ["loss", "valid/bleu"]
    assert board.Scalars("valid/bleu")[0].value == 30.0
    assert [(point.step, point.value) for point in board.Scalars("loss")] == [(1, 2.0), (2, 1.0)]


def test_a_line_that_is_not_utf_8_is_dropped_when_a_run_resumes(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1, "loss": 1.0}\n{"step": 2, "l\xff": 1.0}\n\xfe\n')
    Metrics(tmp_path, step=2, reporters=[]).close()
    assert (tmp_path / "metrics.jsonl").read_bytes() == b'{"step": 1, "loss": 1.0}\n'


def test_a_window_continues_from_its_totals_with_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("translator.training.metrics.time.monotonic", lambda: now[0])
    steps = [
        StepTotals(0.1 * step, step, step % 2, False, norm=0.3, rate=0.1, alignment_loss=0.7 * step, linked_tokens=step)
        for step in range(1, 8)
    ]
    whole, resumed = Window(), Window()
    for step in steps:
        whole.add(step)
    for step in steps[:4]:
        resumed.add(step)
    state, resumed = resumed.state_dict(), Window()
    resumed.load_state_dict(state)
    now[0] += 1000
    resumed.start_clock()
    for step in steps[4:]:
        resumed.add(step)
    now[0] += 6
    first, second = whole.summary(), resumed.summary()
    assert second.pop("tokens_per_second") == pytest.approx((5 + 6 + 7) / 6)  # of the steps after resuming
    first.pop("tokens_per_second")
    assert first == second and first["memory_retries"] == 4
    assert first["alignment_loss"] == pytest.approx(0.7)


def test_a_window_weighs_losses_by_their_tokens() -> None:
    window = Window()
    window.add(StepTotals(loss=10.0, tokens=10, retries=0, must_stop=False, norm=1.0, rate=0.1))
    window.add(StepTotals(loss=90.0, tokens=30, retries=0, must_stop=False, norm=3.0, rate=0.2))
    summary = window.summary()
    assert summary["loss"] == pytest.approx(2.5)
    assert summary["gradient_norm"] == pytest.approx(2.0)
    assert summary["learning_rate"] == 0.2
    assert not {"memory_retries", "alignment_loss"} & summary.keys()
    assert shown_metrics(summary).keys() == {"loss", "tokens/s"}
    window.add(StepTotals(2.0, 10, 0, False, norm=1.0, rate=0.2, alignment_loss=6.0, linked_tokens=8))
    window.add(StepTotals(2.0, 10, 0, False, norm=1.0, rate=0.2, alignment_loss=1.0, linked_tokens=2))
    summary = window.summary()
    assert summary["alignment_loss"] == pytest.approx(0.7)  # per linked token, steps without links left out
    assert shown_metrics(summary)["alignment"] == summary["alignment_loss"]


def test_time_spent_paused_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("translator.training.metrics.time.monotonic", lambda: now[0])
    window = Window()
    window.add(StepTotals(loss=1.0, tokens=50, retries=0, must_stop=False, norm=1.0, rate=0.1))
    now[0] += 5
    with window.paused():
        now[0] += 1000
    assert window.summary()["tokens_per_second"] == pytest.approx(10.0)


def test_only_the_first_rank_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    for is_shown in (True, False):
        progress = TrainingProgress(0, 10, is_shown)
        progress.say("a line")
        progress.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "a line\n"
