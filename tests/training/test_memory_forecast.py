"""The forecast of memory: it is near what a step takes, and stops before memory runs out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from translator.config import Config, to_yaml
from translator.training import memory_forecast
from translator.training.memory_forecast import MemoryForecast, forecast_memory
from translator.training.parallel import Ranks
from translator.training.setup import Setup, prepare_corpus, prepare_tokenizers
from translator.training.trainer import Trainer

Tiny = Callable[..., Config]

CPU = torch.device("cpu")
needs_peak = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs the /proc of Linux")


def trainer_of(config: Config, folder: Path) -> Trainer:
    tokenizers = prepare_tokenizers(folder, config, lambda line: None)
    setup = Setup(tokenizers, prepare_corpus(config, tokenizers, lambda line: None))
    return Trainer(config, folder, Ranks(0, 1, CPU), setup, is_shown=False)


def forecast(trainer: Trainer, limit: int | None = None) -> MemoryForecast | None:
    return forecast_memory(trainer.model, trainer.corpus, trainer.options, torch.float32, 1, limit)


# In a process of its own: memory that earlier tests left would be part of what the steps take.
MEASURE = """
import json, sys
from pathlib import Path
import torch
from translator.config import load_config
from translator.training.memory import keep_freed_memory, peak_memory, reset_peak_memory
from translator.training.memory_forecast import forecast_memory
from translator.training.parallel import Ranks
from translator.training.setup import Setup, prepare_corpus, prepare_tokenizers
from translator.training.trainer import Trainer

keep_freed_memory()  # as in training
folder, cpu = Path(sys.argv[1]), torch.device("cpu")
config = load_config(folder / "config.yaml")
tokenizers = prepare_tokenizers(folder, config, lambda line: None)
setup = Setup(tokenizers, prepare_corpus(config, tokenizers, lambda line: None))
trainer = Trainer(config, folder, Ranks(0, 1, cpu), setup, is_shown=False)
predicted = forecast_memory(trainer.model, trainer.corpus, trainer.options, torch.float32, 1)
parameters = list(trainer.model.parameters())
has_gradients = any(parameter.grad is not None for parameter in parameters)
reset_peak_memory(cpu)
for _ in range(3):
    trainer.step()
print(json.dumps([vars(predicted), peak_memory(cpu), sum(p.numel() for p in parameters), has_gradients]))
"""


@needs_peak
@pytest.mark.parametrize("options", [{}, {"accumulation": 2}, {"optimizer": "muon", "batch_tokens": 512}])
def test_a_forecast_is_near_what_steps_take_and_leaves_no_gradients(
    tiny: Tiny, tmp_path: Path, options: dict[str, Any]
) -> None:
    sizes = {"d_model": 256, "d_ff": 1024, "encoder_layers": 3, "decoder_layers": 3, "dropout": 0.1}
    config = tiny(model=sizes, training={"batch_tokens": 2048} | options)
    (tmp_path / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    values, measured, parameters, has_gradients = json.loads(result.stdout)
    predicted = MemoryForecast(**values)
    assert not has_gradients
    assert predicted.weights == 4 * parameters
    in_layers = 3 * (4 * 256**2 + 2 * 256 * 1024) + 3 * (8 * 256**2 + 2 * 256 * 1024)
    assert predicted.optimizer == 8 * parameters - (4 * in_layers if "optimizer" in options else 0)
    assert predicted.total == pytest.approx(measured, rel=0.2)
    step = measured - predicted.base - predicted.weights - predicted.optimizer
    assert 0.8 * step < predicted.step < 2 * step


@needs_peak
def test_a_moving_average_of_the_weights_is_counted(tiny: Tiny, tmp_path: Path) -> None:
    plain, averaged = (forecast(trainer_of(tiny(training={"ema_decay": decay}), tmp_path)) for decay in (0.0, 0.9))
    assert plain is not None and averaged is not None
    assert averaged.weights == 2 * plain.weights
    assert averaged.optimizer == plain.optimizer


@needs_peak
def test_parts_that_would_not_fit_are_not_computed(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    forward_backward = memory_forecast.ForwardBackward.__call__

    def counted(self: object, batch: object, number: int, *rest: torch.Tensor) -> object:
        passes.append(number)
        return forward_backward(self, batch, number, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(memory_forecast.ForwardBackward, "__call__", counted)
    trainer = trainer_of(tiny(training={"batch_tokens": 1024}), tmp_path)
    assert forecast(trainer) is not None and passes == [0, 1, 2, 3]
    passes.clear()
    assert forecast(trainer, limit=1 << 20) is not None and passes == [0, 1]


@needs_peak
def test_a_batch_of_one_example_has_a_forecast(tiny: Tiny, tmp_path: Path) -> None:
    assert forecast(trainer_of(tiny(training={"batch_tokens": 16}), tmp_path)) is not None
