"""The training loop: it learns, it resumes bit for bit, it refuses what it should."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from translator.checkpoint import CheckpointError, follow, load_model, locked, read_training_state, read_weights
from translator.cli import main
from translator.config import Config, ConfigError, Source, to_yaml
from translator.data.batch import Batch
from translator.data.files import DataError
from translator.inference.translator import Translator
from translator.model import EncoderDecoder
from translator.training import precision, setup, trainer
from translator.training.checkpoints import RunCheckpoints
from translator.training.divergence import DivergenceError
from translator.training.optimizer import step_unless
from translator.training.trainer import TrainingError, train

Tiny = Callable[..., Config]

EVERYTHING = {
    "model": {"dropout": 0.2, "attention_dropout": 0.1, "activation_dropout": 0.1},
    "training": {
        "accumulation": 2,
        "ema_decay": 0.9,
        "valid_decode_examples": 4,
        "metric": "chrf",
        "weight_decay": 0.01,
    },
    "tokenizer": {"sampling_alpha": 0.3},
}


def weights(run: str | Path, name: str = "last") -> dict[str, torch.Tensor]:
    return read_weights(Path(run) / name / "model.safetensors")[0]


def assert_same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def with_sections(tiny: Tiny, output: str, **training: object) -> Config:
    sections = {name: dict(section) for name, section in EVERYTHING.items()}
    sections["training"] |= training
    return tiny(output, **sections)


def metric_lines(run: str | Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]


def lines_without_speed(run: str | Path) -> list[dict[str, float]]:
    return [{key: line[key] for key in line if key != "tokens_per_second"} for line in metric_lines(run)]


def start(config: Config, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The same run in a process of its own, through the command line."""
    path = folder / f"{Path(config.output).name}.yaml"
    path.write_text(to_yaml(config), encoding="utf-8")
    command = [sys.executable, "-m", "translator", "train", str(path), *arguments]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums round by the number of threads
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **threads})


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.005)


def test_a_short_run_learns_to_translate_and_leaves_a_whole_model_directory(tiny: Tiny) -> None:
    schedule = {"max_steps": 300, "validate_every": 150, "save_every": 150, "log_every": 50, "schedule": "cosine"}
    config = tiny(model={"d_model": 64, "d_ff": 128}, training={"batch_tokens": 512, "learning_rate": 0.01} | schedule)
    run = train(config)
    translator = Translator.load(run)
    assert translator.translate("un petit chien mange ici").text == "a small dog eats here"
    losses = [line["valid_loss"] for line in metric_lines(run) if "valid_loss" in line]
    assert losses[-1] < 0.5
    assert {"config.yaml", "tokenizer.model", "checkpoints", "best", "last", "metrics.jsonl", "README.md"} <= {
        entry.name for entry in run.iterdir()
    }
    card = (run / "README.md").read_text()
    assert "300 steps" in card
    assert "\n\nValidation:\n\n- " in card  # without the line between, Markdown has it in the list before


def test_log_and_card_state_the_examples_and_tokens_that_are_longer_than_a_batch(
    tiny: Tiny, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 of 402 pairs do not fit into a batch of 48 tokens, and hold 4 % of the target tokens at most."""
    long = "un petit chien mange ici " * 11, "a small dog eats here " * 11
    path = tmp_path / "train.tsv"
    extra = "".join(f"{long[0]}{word}\t{long[1]}{word}\n" for word in ("ici", "demain"))
    path.write_text((corpus / "train.tsv").read_text() + extra, encoding="utf-8")
    config = tiny(training={"batch_tokens": 48, "max_steps": 2})
    data = config.data.model_copy(update={"train": (Source(file=str(path)),)})
    run = train(config.model_copy(update={"data": data}))
    line = re.compile(r"2 examples with \d+ target tokens are longer than a batch and are left out\.")
    assert line.search(capsys.readouterr().err)
    card = (run / "README.md").read_text()
    assert line.search(card) and "longer than a batch" in card
    header, row = card[card.index("source  ") :].splitlines()[:2]
    assert header.split()[-3:] == ["kept", "target", "tokens"] and row.split()[-3:-1] == ["2", "400"]


def test_a_run_that_stops_halfway_and_goes_on_ends_with_the_same_bits(tiny: Tiny) -> None:
    whole, halves = with_sections(tiny, "whole", log_every=4), with_sections(tiny, "halves", log_every=4, max_steps=6)
    train(whole)
    train(halves)
    train(with_sections(tiny, "halves", log_every=4))
    assert_same_bits(weights(whole.output), weights(halves.output))
    states = [read_training_state((Path(config.output) / "last").resolve()) for config in (whole, halves)]
    assert_same_bits(states[0]["weights"], states[1]["weights"])
    assert states[0]["stream"] == states[1]["stream"]
    assert states[0]["progress"] == states[1]["progress"]
    assert lines_without_speed(whole.output) == lines_without_speed(halves.output)


def test_a_run_with_muon_that_stops_halfway_and_goes_on_ends_with_the_same_bits(tiny: Tiny) -> None:
    whole, halves = (with_sections(tiny, name, optimizer="muon", precision="bfloat16") for name in ("whole", "halves"))
    train(whole)
    train(with_sections(tiny, "halves", optimizer="muon", precision="bfloat16", max_steps=6))
    train(halves)
    assert_same_bits(weights(whole.output), weights(halves.output))
    states = [read_training_state((Path(config.output) / "last").resolve()) for config in (whole, halves)]
    moments = [state["optimizer"]["state"] for state in states]
    assert {tuple(own) for own in moments[0].values()} == {("exp_avg",), ("step", "exp_avg", "exp_avg_sq")}
    for number, own in moments[0].items():
        assert_same_bits(own, moments[1][number])


@pytest.mark.parametrize(("first", "second"), [("adamw", "muon"), ("muon", "adam")])
def test_a_run_keeps_its_optimizer_and_another_run_begins_with_its_weights(tiny: Tiny, first: str, second: str) -> None:
    run = train(tiny("one", training={"optimizer": first, "max_steps": 4}))
    with pytest.raises(CheckpointError, match=r"must resume with the optimizer that the run began with.*start_from"):
        train(tiny("one", training={"optimizer": second}), allow_config_change=True)
    train(tiny("one", training={"optimizer": first, "max_steps": 5}))  # the refusal has not changed config.yaml
    options = {"optimizer": second, "start_from": str(run), "max_steps": 1, "learning_rate": 1e-9}
    other = train(tiny("other", training=options))
    for name, weight in weights(run).items():
        torch.testing.assert_close(weights(other)[name], weight, rtol=0, atol=1e-6)


def test_a_run_that_is_killed_at_any_moment_ends_with_the_same_bits(tiny: Tiny, tmp_path: Path) -> None:
    whole, killed = with_sections(tiny, "whole", max_steps=40), with_sections(tiny, "killed", max_steps=40)
    train(whole)
    for checkpoint in ("tokenizer.model", "checkpoints/step-4", "checkpoints/step-20"):
        process = start(killed, tmp_path)
        wait_for(Path(killed.output) / checkpoint, process)
        process.kill()
        process.wait()
    train(killed)
    assert_same_bits(weights(whole.output), weights(killed.output))
    assert [line["step"] for line in metric_lines(killed.output)] == [
        line["step"] for line in metric_lines(whole.output)
    ]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_stop_saves_first_and_goes_on_later(
    tiny: Tiny, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    config = tiny(training={"max_steps": 100_000, "save_every": 50_000, "validate_every": 50_000})
    process = start(config, tmp_path)
    wait_for(Path(config.output) / "metrics.jsonl", process)
    while not (Path(config.output) / "metrics.jsonl").read_text():
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(timeout=60) == status
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    step = read_training_state((Path(config.output) / "last").resolve())["progress"]["step"]
    assert step >= 3
    train(tiny(training={"max_steps": step + 2, "save_every": 50_000, "validate_every": 50_000}))
    assert read_training_state((Path(config.output) / "last").resolve())["progress"]["step"] == step + 2


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_two_ranks_give_the_result_of_one_rank_with_twice_the_accumulation(
    tiny: Tiny, tmp_path: Path, optimizer: str
) -> None:
    one = tiny("one", model={"dropout": 0.1}, training={"accumulation": 2, "optimizer": optimizer})
    two = tiny("two", model={"dropout": 0.1}, training={"accumulation": 1, "optimizer": optimizer})
    train(one)
    path = tmp_path / "two.yaml"
    path.write_text(to_yaml(two), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone",
         "-m", "translator", "train", str(path)],
        check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True,
    )  # fmt: skip
    first, second = weights(one.output), weights(two.output)
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-5)
    states = [read_training_state((Path(config.output) / "last").resolve())["progress"] for config in (one, two)]
    assert states[0]["target_tokens"] == states[1]["target_tokens"]


def test_a_resumed_run_with_another_configuration_shows_the_difference_and_is_refused(tiny: Tiny) -> None:
    train(tiny())
    changed = tiny(training={"learning_rate": 0.001})
    with pytest.raises(ConfigError, match=r"training\.learning_rate: 0\.003 -> 0\.001"):
        train(changed)
    train(changed, allow_config_change=True)


def test_a_resumed_run_on_another_corpus_is_refused(tiny: Tiny, corpus: Path) -> None:
    train(tiny())
    with pytest.raises(TrainingError, match="must keep its training data"):
        train(tiny(data={"train": str(corpus / "valid.tsv")}), allow_config_change=True)


def test_steps_that_are_not_finite_are_skipped_and_a_row_of_them_ends_the_run(tiny: Tiny) -> None:
    wild = {"learning_rate": 1e30, "warmup_steps": 0, "max_skipped_steps": 3, "clip_norm": 0, "max_recoveries": 0}
    with pytest.raises(DivergenceError, match="3 steps in a row whose loss or gradient is not finite"):
        train(tiny(training=wild))


def test_a_skipped_step_leaves_weights_and_moments_as_they_were() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1, fused=True)
    weight.grad = torch.ones(3)
    step_unless(optimizer, torch.tensor(False))
    before = weight.detach().clone(), {name: value.clone() for name, value in optimizer.state[weight].items()}
    weight.grad = torch.full((3,), torch.nan)
    step_unless(optimizer, torch.tensor(True))
    assert torch.equal(weight, before[0]) and not torch.equal(weight, torch.ones(3))
    assert all(torch.equal(value, before[1][name]) for name, value in optimizer.state[weight].items())


def test_results_that_are_read_late_change_nothing(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA, where the host runs ahead of the device."""
    at_once, late = with_sections(tiny, "at-once", log_every=5), with_sections(tiny, "late", log_every=5)
    train(at_once)
    monkeypatch.setitem(trainer._STEPS_AHEAD, "cpu", 3)
    train(late)
    assert_same_bits(weights(at_once.output), weights(late.output))
    assert lines_without_speed(at_once.output) == lines_without_speed(late.output)
    with pytest.raises(DivergenceError, match="3 steps in a row whose loss or gradient is not finite"):
        options = {"learning_rate": 1e30, "warmup_steps": 0, "clip_norm": 0}
        train(tiny("wild", training=options | {"max_skipped_steps": 3, "max_recoveries": 0}))


def test_a_step_that_does_not_fit_in_memory_is_one_clear_message(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny("huge", model={"d_model": 2048, "d_ff": 65536}, training={"batch_tokens": 32})
    (tmp_path / "huge.yaml").write_text(to_yaml(config), encoding="utf-8")
    script = (
        "import resource, sys, torch\n"
        "from translator.cli import main\n"
        "taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"  # torch with CUDA: 3 GB
        "limit = taken + 9 * 2**29\n"  # the model fits, its gradients do not
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "sys.exit(main(['train', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "huge.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 2, done.stderr
    assert "Out of memory in a training step with training.batch_tokens=32, even with one example at a" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_runs_out_of_memory_keeps_its_checkpoint_and_goes_on_with_the_same_bits(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, short = with_sections(tiny, "whole"), with_sections(tiny, "short")
    train(whole)
    loss, batches = EncoderDecoder.loss, 0

    def hungry(model: EncoderDecoder, batch: Batch, seeds: Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal batches
        batches += model.training
        if model.training and batches >= 12:  # the second of step 6, and every retry
            torch.empty(2**50)
        return loss(model, batch, seeds)

    (tmp_path / "short.yaml").write_text(to_yaml(short), encoding="utf-8")
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(EncoderDecoder, "loss", hungry)
        assert main(["train", str(tmp_path / "short.yaml")]) == 2
    said = capsys.readouterr().err
    assert said.count("Out of memory in a training step") == 1
    assert f"{Path(short.output) / 'last'} is the last good checkpoint." in said
    assert "Traceback" not in said
    saved = (Path(short.output) / "last").resolve()
    assert saved.name == "step-4"
    assert_same_bits(weights(short.output), weights(Path(whole.output) / "checkpoints", "step-4"))
    train(short)
    assert_same_bits(weights(whole.output), weights(short.output))
    states = [read_training_state((Path(config.output) / "last").resolve()) for config in (whole, short)]
    assert_same_bits(states[0]["weights"], states[1]["weights"])
    assert states[0]["stream"] == states[1]["stream"]
    assert states[0]["progress"] == states[1]["progress"]


def test_data_that_do_not_fit_in_memory_are_not_blamed_on_the_batch(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(setup, "prepare_corpus", hungry)
    with pytest.raises(TrainingError, match="Out of memory while preparing data or model") as failure:
        train(tiny())
    assert "batch_tokens" not in str(failure.value)


def test_a_second_run_in_one_directory_is_refused(tiny: Tiny) -> None:
    config = tiny()
    with locked(Path(config.output)), pytest.raises(CheckpointError, match="is locked by another run"):
        train(config)


def test_a_run_that_patience_ends_says_so_keeps_its_last_state_and_stays_finished(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"metric": "bleu", "patience": 2, "validate_every": 2, "valid_decode_examples": 4, "learning_rate": 1e-9}
    config = tiny(training=options | {"save_every": 50, "average_checkpoints": 2})
    run = train(config)
    assert metric_lines(run)[-1]["step"] == 6
    message = "stopped early at step 6 of 12, because valid bleu has not improved in training.patience=2 validations"
    assert capsys.readouterr().err.count(message) == 1
    last = (run / "last").resolve()
    assert last.name == "step-6" and read_training_state(last)["progress"]["worse_validations"] == 2
    average = weights(run / "checkpoints", "average")  # of the only regular checkpoint
    assert_same_bits(average, weights(run))
    assert "6 steps" in (run / "README.md").read_text()

    before = {path: path.read_bytes() for path in run.rglob("step-*/*")}
    train(config)
    said = capsys.readouterr().err
    assert said.count(message) == 1 and "resuming" not in said
    assert {path: path.read_bytes() for path in run.rglob("step-*/*")} == before
    assert metric_lines(run)[-1]["step"] == 6


def test_a_finished_run_says_that_it_is_finished(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny(training={"max_steps": 4}))
    capsys.readouterr()
    train(tiny(training={"max_steps": 4}))
    said = capsys.readouterr().err
    assert "this run finished after step 4. To train longer, raise training.max_steps=4" in said
    assert "resuming" not in said


def test_validation_data_that_are_all_too_long_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "long.tsv").write_text("fr\ten\n" + "un " * 99 + "\t" + "a " * 99 + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.valid must contain an example .* model\.max_positions=64"):
        train(tiny(data={"valid": str(tmp_path / "long.tsv")}))


@pytest.mark.parametrize("fate", ["missing", "dangling", "folders", "impossible"])
def test_a_run_with_lost_or_changed_links_resumes_bitwise(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    def symlink_to(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    whole = train(tiny("whole"))
    if fate == "impossible":  # a file system without links
        monkeypatch.setattr(Path, "symlink_to", symlink_to)
    run = train(tiny(training={"max_steps": 6}))
    match fate:
        case "missing":
            (run / "last").unlink()
            (run / "best").unlink()
        case "dangling":
            for name in ("last", "best"):
                (run / name).unlink()
                (run / name).symlink_to("checkpoints/step-99")
        case "folders":
            run.rename(run.with_name("original"))
            shutil.copytree(run.with_name("original"), run, symlinks=False)
    train(tiny())
    assert_same_bits(weights(whole / "checkpoints", "step-12"), weights(run / "checkpoints", "step-12"))
    assert lines_without_speed(whole) == lines_without_speed(run)
    for name in ("best", "last"):
        assert follow(run, name) == run / "checkpoints" / (whole / name).resolve().name
        assert (run / name).is_symlink() == (fate != "impossible")
    assert_same_bits(dict(load_model(run).model.named_parameters()), dict(load_model(whole).model.named_parameters()))


def test_a_fresh_start_over_checkpoints_is_refused(tiny: Tiny) -> None:
    run = train(tiny())
    metrics = (run / "metrics.jsonl").read_bytes()
    for checkpoint in (run / "checkpoints").iterdir():
        (checkpoint / "training_state.pt").unlink()
    with pytest.raises(CheckpointError, match=r"has checkpoints but none that is complete:\n  .*step-12: "):
        train(tiny())
    (run / "tokenizer.model").unlink()
    shutil.copytree(run, run.with_name("old"))
    with pytest.raises(CheckpointError, match="none that is complete"):
        train(tiny("old"))
    assert (run / "metrics.jsonl").read_bytes() == metrics


def test_checkpoints_without_their_tokenizer_are_not_trained_over(tiny: Tiny) -> None:
    run = train(tiny(training={"max_steps": 4}))
    (run / "tokenizer.model").unlink()
    with pytest.raises(TrainingError, match="with checkpoints but without a tokenizer"):
        train(tiny())
    assert not (run / "tokenizer.model").exists()


def test_a_damaged_checkpoint_is_passed_over_and_made_again(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    run = train(tiny())
    expected = weights(run)
    state = run / "checkpoints" / "step-12" / "training_state.pt"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 4
    state.write_bytes(content)
    train(tiny())
    assert "passed over" in caplog.text and "step-12" in caplog.text
    assert_same_bits(expected, weights(run))
    read_training_state(run / "checkpoints" / "step-12")


def test_an_average_of_the_weights_begins_with_the_weights_of_the_earlier_model(tiny: Tiny) -> None:
    earlier = train(tiny("earlier", training={"max_steps": 2}))
    options = {"max_steps": 1, "learning_rate": 1e-12, "ema_decay": 0.9, "start_from": str(earlier)}
    run = train(tiny(training=options))
    expected = weights(earlier)
    for name, weight in weights(run).items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-6)


def test_only_the_newest_checkpoints_and_the_best_are_kept(tiny: Tiny) -> None:
    run = train(tiny(training={"keep_last": 2, "save_every": 2}))
    kept = {path.name for path in (run / "checkpoints").iterdir()}
    assert {"step-10", "step-12"} <= kept
    assert kept <= {"step-10", "step-12", (run / "best").resolve().name}


def test_the_average_of_the_last_checkpoints_is_their_mean(tiny: Tiny) -> None:
    run = train(tiny(training={"average_checkpoints": 3}))
    mean = weights(run / "checkpoints", "average")
    parts = [weights(run / "checkpoints", f"step-{step}") for step in (4, 8, 12)]
    for name in mean:
        torch.testing.assert_close(mean[name], torch.stack([part[name] for part in parts]).mean(0))


def test_a_signal_during_the_final_average_acts_at_once_and_the_run_can_be_finished_later(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: RunCheckpoints, count: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    config = tiny(training={"average_checkpoints": 2})
    with monkeypatch.context() as patch:
        patch.setattr(RunCheckpoints, "average", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert not (Path(config.output) / "checkpoints" / "average").exists()
    train(config)
    assert (Path(config.output) / "checkpoints" / "average").exists()


def test_a_bfloat16_run_that_stops_and_resumes_ends_with_the_same_bits(tiny: Tiny) -> None:
    training = {**EVERYTHING["training"], "precision": "bfloat16"}
    sections = {**EVERYTHING, "training": training}
    whole = train(tiny("whole", **sections))
    train(tiny("halved", **{**sections, "training": {**training, "max_steps": 5}}))
    halved = train(tiny("halved", **sections))
    assert_same_bits(weights(whole), weights(halved))
    assert lines_without_speed(whole)[-1] == lines_without_speed(halved)[-1]


def test_auto_precision_is_logged_stored_and_kept_when_resuming_on_another_processor(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu = precision.processor_type(torch.device("cpu"))
    monkeypatch.setattr(precision, "bfloat16_unit", lambda _: "AMX")
    run = train(tiny(training={"precision": "auto", "max_steps": 4}))
    assert f"precision bfloat16 (auto: AMX) on {cpu}" in capsys.readouterr().err
    assert f"precision bfloat16 (auto: AMX) on {cpu}." in (run / "README.md").read_text(encoding="utf-8")
    assert read_training_state(run / "last")["precision"] == {"name": "bfloat16", "processor": cpu}

    monkeypatch.setattr(precision, "bfloat16_unit", lambda _: None)
    monkeypatch.setattr(precision, "processor_type", lambda _: "another CPU")
    train(tiny(training={"precision": "auto", "max_steps": 8}))
    shown = capsys.readouterr().err
    assert "precision bfloat16 (auto: kept from the start of the run) on another CPU" in shown
    assert f"warning: the checkpoint is from {cpu}. On another CPU, results may differ" in shown
    assert read_training_state(run / "last")["precision"] == {"name": "bfloat16", "processor": "another CPU"}


def test_bfloat16_training_follows_float32_training(tiny: Tiny) -> None:
    losses = []
    for name in ("float32", "bfloat16"):
        run = train(tiny(name, training={"precision": name, "max_steps": 30}))
        losses.append(metric_lines(run)[-1]["valid_loss"])
        assert all(weight.dtype == torch.float32 for weight in weights(run).values())
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_a_compiled_model_trains_like_one_that_is_not(tiny: Tiny) -> None:
    losses = []
    for is_compiled in (False, True):
        training = {"compile": is_compiled, "max_steps": 3}
        run = train(tiny(f"compiled-{is_compiled}", training=training, model={"dropout": 0.0}))
        losses.append(metric_lines(run)[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_cuda_graphs_change_no_bit_on_a_cpu_and_a_resumed_run_may_do_without(tiny: Tiny) -> None:
    def trained(output: str, has_graphs: bool, max_steps: int) -> dict[str, torch.Tensor]:
        training = {"compile": True, "cuda_graphs": has_graphs, "accumulation": 2, "max_steps": max_steps}
        return weights(train(tiny(output, training=training, model={"attention_dropout": 0.1})))

    trained("graphs", has_graphs=True, max_steps=2)
    assert_same_bits(trained("graphs", has_graphs=False, max_steps=3), trained("plain", has_graphs=False, max_steps=3))


def test_a_checkpoint_that_does_not_fit_on_the_disk_costs_nothing_that_was_there(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny()
    train(config)
    before = weights(config.output)
    longer = tiny(training={"max_steps": 16})
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from translator.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    path = tmp_path / "longer.yaml"
    path.write_text(to_yaml(longer), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", script, "train", str(path)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert_same_bits(weights(config.output), before)
    assert load_model(config.output).config.training.max_steps == 16
