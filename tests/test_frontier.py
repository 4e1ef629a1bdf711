"""configs/frontier.yaml: docs/frontier.md shows the costs that its script computes, which are those of the model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pages import ROOT

from benchmarks import frontier
from translator.config import load_config
from translator.model import build_model

CONFIG = load_config(frontier.CONFIG)


def test_the_page_shows_the_costs_that_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    frontier.print_costs()
    page = (ROOT / "docs" / "frontier.md").read_text(encoding="utf-8")
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(lines) == 13
    for line in lines:
        assert line in page, line


def test_the_parameters_are_those_of_the_model() -> None:
    with torch.device("meta"):
        model = build_model(CONFIG.model, frontier.VOCABULARY, frontier.VOCABULARY)
    counted = frontier.cost(CONFIG.model).parameters
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(counted, rel=0.002)


def test_the_small_version_has_a_hundredth_of_the_parameters_and_of_the_tokens_of_a_step() -> None:
    small = load_config(frontier.CONFIG, frontier.SMALL)
    parameters = frontier.cost(small.model, small.tokenizer.vocab_size).parameters
    assert parameters == pytest.approx(frontier.cost(CONFIG.model).parameters / 100, rel=0.1)
    assert small.training.step_tokens == pytest.approx((CONFIG.training.step_tokens or 0) / 100, rel=0.001)
    assert small.training.batch_tokens == "auto" and small.data.train[0].streaming


def test_the_data_of_the_small_version_have_the_form_of_the_hub(tmp_path: Path) -> None:
    from translator.data.sources import read_rows

    sources = frontier.local_data(tmp_path)
    config = load_config(frontier.CONFIG, [*frontier.SMALL, *sources])
    rows = list(read_rows(config.data.valid, config.data, config.form))
    assert len(rows) == 300 and all(len(row) == 2 and all(row) for row in rows)
