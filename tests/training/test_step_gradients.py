"""Gradients of a step: the same to rounding however it is split, also when memory runs out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from translator.config import Config, to_yaml
from translator.data.batch import Batch
from translator.model import EncoderDecoder
from translator.training.parallel import Ranks
from translator.training.setup import Setup, prepare_corpus, prepare_tokenizers
from translator.training.trainer import Trainer, train

Tiny = Callable[..., Config]
DROPOUT = {"dropout": 0.2, "attention_dropout": 0.2, "activation_dropout": 0.2}


def trainer_of(config: Config, folder: Path) -> Trainer:
    tokenizers = prepare_tokenizers(folder, config, lambda line: None)
    setup = Setup(tokenizers, prepare_corpus(config, tokenizers, lambda line: None))
    return Trainer(config, folder, Ranks(0, 1, torch.device("cpu")), setup)


def gradients(trainer: Trainer) -> list[Tensor]:
    """Loss, labels, alignment loss and retries of the next step, and the gradients of all parameters."""
    trainer.model.zero_grad()
    sums = trainer.gradients(next(trainer.state.stream))
    return [sums, *(parameter.grad for parameter in trainer.model.parameters() if parameter.grad is not None)]


def assert_near(first: list[Tensor], second: list[Tensor]) -> None:
    for mine, other in zip(first, second, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch_tokens", [1, 100, 200])
def test_micro_batches_with_dropout_give_the_gradients_of_the_whole_step(
    tiny: Tiny, tmp_path: Path, batch_tokens: int
) -> None:
    found = [
        gradients(trainer_of(tiny(model=DROPOUT, training={"step_tokens": 400, "batch_tokens": tokens}), tmp_path))
        for tokens in (400, batch_tokens)
    ]
    assert_near(*found)


@pytest.mark.parametrize("failing_calls", [1, 3])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_that_runs_out_of_memory_is_repeated_in_halves_with_the_same_gradients(
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failing_calls: int,
    precision: str,
) -> None:
    """The allocation fails after a backward pass has already added to some gradients."""
    config = tiny(model=DROPOUT, training={"step_tokens": 400, "batch_tokens": 200, "precision": precision})
    expected = gradients(trainer_of(config, tmp_path))
    loss, calls = EncoderDecoder.loss, 0

    def hungry(model: EncoderDecoder, batch: Batch, seeds: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        if calls in range(2, 2 + failing_calls):
            torch.empty(2**50)
        return loss(model, batch, seeds)

    monkeypatch.setattr(EncoderDecoder, "loss", hungry)
    trainer = trainer_of(config, tmp_path)
    capsys.readouterr()
    (sums, *found) = gradients(trainer)
    assert sums[3] == 1 and expected[0][3] == 0
    tolerance = 1e-4 if precision == "float32" else 0.1
    torch.testing.assert_close(sums[:2], expected[0][:2], rtol=1e-5 if precision == "float32" else 1e-2, atol=0)
    for mine, other in zip(found, expected[1:], strict=True):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance * float(other.abs().max()))
    said = capsys.readouterr().err
    assert said.count("out of memory in a step: computing it again in") == failing_calls


def test_a_single_example_that_does_not_fit_ends_the_step(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(EncoderDecoder, "loss", lambda *_: torch.empty(2**50))
    trainer = trainer_of(tiny(), tmp_path)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        trainer.step()
    assert "computing it again" in capsys.readouterr().err


def test_other_errors_are_not_retried(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EncoderDecoder, "loss", lambda *_: torch.ones(2) + torch.ones(3))
    trainer = trainer_of(tiny(), tmp_path)
    with pytest.raises(RuntimeError, match="must match the size"):
        trainer.step()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs the /proc of Linux")
def test_a_run_whose_memory_is_limited_learns_what_an_unlimited_run_learns(tiny: Tiny, tmp_path: Path) -> None:
    """With a limit of the system, at which a whole step does not fit: real allocations fail."""
    options = {"step_tokens": 1500, "batch_tokens": 1500, "max_steps": 2, "log_every": 2}
    free, limited = (tiny(name, model={"d_ff": 8192, **DROPOUT}, training=options) for name in ("free", "limited"))
    train(free)
    (tmp_path / "limited.yaml").write_text(to_yaml(limited), encoding="utf-8")
    script = (
        "import resource, sys, torch, torch._dynamo\n"
        "from translator.cli import main\n"
        "from translator.training.trainer import Trainer\n"
        "step = Trainer.step\n"
        "def limited(trainer, *arguments, **options):\n"
        "    Trainer.step = step\n"
        "    taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[2]), resource.RLIM_INFINITY))\n"
        "    return step(trainer, *arguments, **options)\n"
        "Trainer.step = limited\n"
        "sys.exit(main(['train', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "limited.yaml"), str(200 << 20)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "out of memory in a step: computing it again in 2 micro-batches instead of 1" in done.stderr
    first, second = (
        [json.loads(line) for line in (Path(config.output) / "metrics.jsonl").read_text().splitlines()]
        for config in (free, limited)
    )
    for name in ("loss", "gradient_norm"):
        assert second[0][name] == pytest.approx(first[0][name], rel=1e-4)
    assert second[1]["valid_loss"] == pytest.approx(first[1]["valid_loss"], rel=1e-3)
    assert "memory_retries" not in first[0] and second[0]["memory_retries"] >= 1
