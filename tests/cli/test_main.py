from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from translator import __version__, cli
from translator.config import UserError

Run = Callable[[Callable[[], int]], int]


@pytest.fixture
def run_as_subcommand(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a function as the only subcommand, `act`, and return the exit code."""

    def run(action: Callable[[], int]) -> int:
        module = ModuleType("translator.cli.act")
        module.add_arguments = lambda parser: parser.set_defaults(run=lambda arguments: action())  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(cli, "SUBCOMMANDS", {"act": "act"})
        return cli.main(["act"])

    return run


def raise_(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("x must be 1. Received: 2."), 2, "translator: x must be 1. Received: 2.\n"),
        (
            FileNotFoundError(2, "No such file or directory", "a.txt"),
            2,
            "translator: No such file or directory: a.txt\n",
        ),
        (OSError(28, "No space left on device"), 2, "translator: No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (SystemExit(143), 143, ""),
        (SystemExit(), 0, ""),
        (SystemExit("words"), 1, ""),
    ],
)
def test_each_exception_has_its_exit_code_and_no_traceback(
    error: BaseException, code: int, message: str, run_as_subcommand: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_as_subcommand(lambda: raise_(error)) == code
    assert capsys.readouterr() == ("", message)


def test_an_internal_error_has_a_traceback_and_exit_code_1(
    run_as_subcommand: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_as_subcommand(lambda: raise_(ZeroDivisionError("by zero"))) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error and "\ntranslator: internal error: ZeroDivisionError. Please report" in error


def test_the_status_of_a_subcommand_is_the_exit_code(run_as_subcommand: Run) -> None:
    assert run_as_subcommand(lambda: 7) == 7


@pytest.mark.parametrize("names", [("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")])
def test_several_ranks_are_refused_where_each_would_write_the_same_output(
    names: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in zip(names, ("1", "2"), strict=True):
        monkeypatch.setenv(name, value)
    output = tmp_path / "scores"
    assert cli.main(["score", "model", "--output", str(output)]) == 2
    assert capsys.readouterr().err == (
        "translator: Several ranks can run train, translate, classify and generate. Received: score, as rank 1 of 2. "
        "Start one process, without torchrun or srun, or unset WORLD_SIZE.\n"
    )
    assert not output.exists()


@pytest.mark.parametrize("name", cli.SUBCOMMANDS)
def test_a_subcommand_runs_with_several_ranks_only_if_it_divides_its_work(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    module = ModuleType(f"translator.cli.{name}")
    module.add_arguments = lambda parser: parser.set_defaults(run=lambda arguments: 7)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, cli.module_of(name), module)
    assert cli.main([name]) == (7 if name in ("train", "translate", "classify", "generate") else 2)


def test_sigterm_unwinds_and_gives_143(run_as_subcommand: Run) -> None:
    unwound = []

    def wait() -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            unwound.append(True)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    assert run_as_subcommand(wait) == 143
    assert unwound and signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("arguments", [[], ["fly"], ["translate"], ["translate", "m", "--beam-size", "many"]])
def test_wrong_arguments_give_exit_code_2_and_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert "usage: translator" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["translate", "generate", "classify"])
def test_only_missing_arguments_are_reported_as_required(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name]) == 2
    assert capsys.readouterr().err.endswith("the following arguments are required: MODEL\n")


def test_help_and_version_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"translator {__version__}\n"
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("translate", "evaluate", "score"))


@pytest.mark.parametrize("name", cli.SUBCOMMANDS)
def test_each_subcommand_has_a_description_and_runs_its_module(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = import_module(cli.module_of(name))
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert parser.description and parser.get_default("run") is module.run
    assert cli.main([name, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith(f"usage: translator {name} ") and parser.description[:50] in shown


def test_help_imports_little_and_translating_nothing_that_only_training_needs(model_directory: Path) -> None:
    program = f"""
import sys
from translator.cli import main
main(["--help"])
assert not {{"torch", "numpy", "pydantic", "yaml"}} & set(sys.modules)
assert main(["translate", {str(model_directory)!r}, "oui", "--max-length-factor", "0.1", "--threads", "1"]) == 0
data = {{"datasets", "pyarrow", "pandas", "tensorboard", "sacrebleu", "matplotlib", "huggingface_hub"}}
compilers = {{"torch._dynamo", "torch._inductor", "triton", "sympy"}}
heavy = (data | compilers) & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL, timeout=120)
