"""`translator check`: one report, a verdict and an exit code; nothing is written to the run directory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from translator.cli import main
from translator.config import DataConfig, Source
from translator.data.sources import read_rows
from translator.kernels import self_test
from translator.training import check as check_module
from translator.training import memory
from translator.training.optimizer import step_unless

PAIRS = list(
    read_rows([Source(phrasebook="test")], DataConfig(source_language="fr", target_language="en", train="x"), "pairs")
)[:320]
CONFIG = """
output: run
data:
  source_language: fr
  target_language: en
  train: train.tsv
  valid: valid.tsv
  test: test.tsv
  cache: cache
tokenizer: {vocab_size: 900}
model: {d_model: 16, d_ff: 32, encoder_layers: 1, decoder_layers: 1, encoder_heads: 2, decoder_heads: 2}
training: {max_steps: 40, batch_tokens: 256, warmup_steps: 2, valid_decode_examples: 0}
"""


def write(name: str, pairs: list[tuple[str, ...]]) -> None:
    Path(name).write_text("fr\ten\n" + "".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("train.tsv", PAIRS[:240])
    write("valid.tsv", PAIRS[240:280])
    write("test.tsv", PAIRS[280:])
    Path("config.yaml").write_text(CONFIG, encoding="utf-8")


def report(capsys: pytest.CaptureFixture[str], code: int, *overrides: str) -> str:
    """Return the report of a check that must exit with `code`."""
    assert main(["check", "config.yaml", *overrides]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out


def test_a_run_without_faults_is_ready_and_the_report_has_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    shown = report(capsys, 0)
    assert shown.endswith("verdict     ready to train\n")
    assert "output      run: a new run" in shown
    assert "kernels     5 of 5 agree with the reference" in shown
    assert re.search(r"train\.tsv +240 +240\n", shown)
    assert re.search(r"valid valid\.tsv +40 +UTF-8 +\d+ \d+ / \d+ \d+ +fr en +0 +0\n", shown)
    assert re.search(r"test en +900 +\d+% +\d\.\d\d +\d\.\d\d +0\.\d\d%", shown)
    parameters = re.search(r"model +([\d,]+) parameters", shown)
    assert parameters is not None and int(parameters[1].replace(",", "")) > 900 * 16
    assert re.search(r"[\d,]+ MiB predicted at training.batch_tokens=256: process [\d,]+ MiB, weights", shown)
    assert re.search(r"[\d,]+ MiB measured in 2 steps", shown)
    assert re.search(r"\d+ steps per epoch; 40 steps are [\d.]+ epochs and take \d\d:\d\d without validation", shown)
    assert not Path("run").exists()


def test_training_accepts_what_the_check_accepts(capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, 0)
    assert main(["train", "config.yaml", "training.max_steps=1"]) == 0
    assert "output      run: resumes from step-1" in report(capsys, 0, "training.max_steps=2")


def test_all_problems_of_a_configuration_are_reported_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "config.yaml", "model.d_modle=3", "seed=-1"]) == 2
    assert "2 problems" in capsys.readouterr().err


def test_a_binary_source_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("binary.tsv").write_bytes(b"\x01\x02\xfe\r\xff\tnext\nrow\trow\n")
    shown = report(capsys, 2, "data.valid=binary.tsv")
    assert "which is not among what is not UTF-8 text in binary.tsv." in shown
    assert "The file is binary, or in another encoding: convert it to UTF-8 text." in shown
    assert shown.endswith("verdict     not ready to train, 1 problem\n")


def test_problems_of_different_kinds_are_all_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    Path("output").touch()
    shown = report(
        capsys, 2, "output=output", "model.attention=triton", "data.valid=absent.tsv", "tokenizer.vocab_size=9000"
    )
    problems = [line for line in shown.splitlines() if line.startswith("problem: ")]
    for problem, expected in zip(
        problems,
        (
            "output must be a writable directory",
            "model.attention: triton",
            "data.valid.0:",
            "tokenizer.vocab_size must be",
        ),
        strict=True,
    ):
        assert expected in problem
    assert shown.endswith("verdict     not ready to train, 4 problems\n")


def test_unreadable_training_data_ends_the_check_with_one_problem(capsys: pytest.CaptureFixture[str]) -> None:
    shown = report(capsys, 2, "data.train=absent.tsv")
    assert shown.count("problem: ") == 1
    assert "problem: data.train.0: " in shown and "absent.tsv" in shown
    assert "memory" not in shown
    shown = report(capsys, 2, "data.train=[]")
    assert shown.count("problem: ") == 1
    assert "problem: data.train: required for training, and missing." in shown
    Path("binary.tsv").write_bytes("fr\ten\nun\tone\n".encode("utf-16-le"))
    assert "UTF-16 text without a byte order mark" in report(capsys, 2, "data.train=binary.tsv")
    Path("lines.tsv").write_text("fr\ten\n", encoding="utf-8")
    assert "problem: data.train: " in report(capsys, 2, "data.train=lines.tsv")


def test_faults_of_the_data_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    write("test.tsv", PAIRS[:20] + PAIRS[280:])
    write("valid.tsv", [(english, french) for french, english in PAIRS[240:280]])
    shown = report(capsys, 2)
    assert "problem: data.test: test.tsv: the source text of 20 of 60 rows also occurs in data.train" in shown
    assert "problem: data.valid: valid.tsv: the columns are swapped" in shown
    assert shown.endswith("verdict     not ready to train, 2 problems\n")


def test_characters_without_a_piece_are_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    write("test.tsv", [(f"{french} 日本語", english) for french, english in PAIRS[280:]])
    shown = report(capsys, 0)
    assert "of the characters of data.test (fr) have no piece: 日 本 語" in shown
    assert shown.endswith("verdict     ready to train, 1 warning\n")


def test_many_tokens_per_word_are_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    write("test.tsv", [(french.replace(" ", "x"), english) for french, english in PAIRS[280:]])
    assert "tokens per word of data.test (fr)" in report(capsys, 0)


def test_a_changed_configuration_of_a_run_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "config.yaml", "training.max_steps=1"]) == 0
    shown = report(capsys, 2, "training.max_steps=1", "model.d_ff=64")
    assert "A resumed run must keep its configuration" in shown
    assert "model.d_ff: 32 -> 64" in shown


@pytest.mark.parametrize(
    ("function", "name", "remedy"),
    [
        ("linear_cross_entropy", "cross entropy, d_model 16", "Train on another device, and report this."),
        ("packed_attention", "self-attention, head_dim 8", "Set model.attention=sdpa, and report this."),
    ],
)
def test_a_wrong_kernel_is_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, function: str, name: str, remedy: str
) -> None:
    right = getattr(self_test, function)

    def wrong(*arguments: Tensor, **options: Any) -> Tensor:
        out: Tensor = right(*arguments, **options)
        return out if options.get("backend") == "reference" else out * 1.01

    monkeypatch.setattr(self_test, function, wrong)
    shown = " ".join(report(capsys, 2).split())
    assert f"problem: kernel: {name} in float32 differs from the reference" in shown
    assert remedy in shown
    assert "steps per epoch" not in shown


def test_no_step_is_taken_with_attention_that_cannot_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    shown = report(capsys, 2, "model.attention=triton")
    assert shown.count("problem: ") == 1
    assert "problem: model.attention: triton cannot be used for this run" in shown
    assert "steps per epoch" not in shown


def test_a_batch_that_does_not_fit_is_a_problem_and_no_step_is_taken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_module, "available_memory", lambda device: 1 << 20)
    monkeypatch.setattr(check_module, "current_memory", lambda device: 0)
    shown = report(capsys, 2)
    assert "problem: training.batch_tokens=256 does not fit into memory" in shown
    assert "measured" not in shown


def test_running_out_of_memory_is_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(check_module, "forecast_memory", fail)
    assert "problem: training.batch_tokens=256 does not fit into memory" in report(capsys, 2)


def test_a_step_that_is_not_finite_is_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(optimizer: torch.optim.Optimizer, is_bad: Tensor) -> None:
        step_unless(optimizer, is_bad)
        for group in optimizer.param_groups:
            group["params"][0].data.fill_(torch.nan)

    monkeypatch.setattr("translator.training.trainer.step_unless", poison)
    shown = report(capsys, 2)
    assert shown.count("problem: training: loss nan") == 1


def test_systems_that_do_not_report_peak_memory_are_checked_without_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CLEAR_REFS", Path("absent/clear_refs"))
    shown = report(capsys, 0)
    assert "predicted" not in shown and "measured" not in shown
    assert "steps per epoch" in shown


def test_without_an_identifier_of_languages_the_report_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("translator.data.survey", "translator.training.data_check"):
        monkeypatch.setattr(f"{module}.has_identifier", lambda: False)
    assert "Languages were not identified. Install py3langid" in report(capsys, 0)


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.objective=language_modeling", "model.architecture=decoder_only"],
        ["training.objective=masked_language_modeling", "model.architecture=encoder_only", "tokenizer.sentinels=1"],
        ["training.objective=denoising", "tokenizer.sentinels=8"],
    ],
)
def test_text_without_translations_is_checked(capsys: pytest.CaptureFixture[str], overrides: list[str]) -> None:
    column = "text_column: fr"
    parts = [f"data.{part}={{file: {part}.tsv, {column}}}" for part in ("train", "valid", "test")]
    shown = report(capsys, 0, *overrides, *parts, "data.source_language=null", "data.target_language=null")
    assert "train text" in shown and "steps per epoch" in shown


def test_a_classifier_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    shown = report(
        capsys,
        0,
        *("training.objective=classification", "model.architecture=encoder_only", "data.labels=[negative, positive]"),
        *("data.source_language=null", "data.target_language=null", "data.test=[]", "tokenizer.vocab_size=900"),
        *("data.train={sentiment: train}", "data.valid={sentiment: valid}", "training.batch_tokens=512"),
    )
    assert "steps per epoch" in shown
