"""The commands and the Python of docs/ run, on a model of random weights."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch
from pages import ROOT, commands, run_python

from translator.checkpoint import CONFIG_FILE, point, weights_of, write_checkpoint
from translator.cli import main
from translator.config import TokenizerConfig, load_config, to_yaml
from translator.model import build_model
from translator.tokenizer import Tokenizers

PAGES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in
         ("architecture.md", "attention.md", "embeddings.md", "generating.md", "heads.md", "output.md", "positions.md",
          "prediction.md", "tokens.md", "training.md", "worked-example.md")}  # fmt: skip
# Words that the pages use as single tokens.
WORDS = "étudiant grand grande petit petite rouge table demain hier lundi livre livre. It is cold. Il fait froid."


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/phrasebook: a model of the shipped configuration's size, untrained."""
    folder = tmp_path_factory.mktemp("docs")
    run = folder / "runs" / "phrasebook"
    run.mkdir(parents=True)
    config = load_config(ROOT / "configs" / "phrasebook.yaml", ["decoding.max_length_factor=0.2"])
    tokenizers = Tokenizers.train([(WORDS, WORDS)] * 100, TokenizerConfig(vocab_size=370, model_type="bpe"), seed=1)
    torch.manual_seed(1)
    model = build_model(config.model, tokenizers.source.vocab_size, tokenizers.target.vocab_size)
    (run / CONFIG_FILE).write_text(to_yaml(config), encoding="utf-8")
    tokenizers.save(run)
    point(run, "best", write_checkpoint(run, "step-1", weights_of(model), tokenizers))
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_page_run(
    page: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    lines = commands(f"docs/{page}")
    assert any(line.startswith("translator ") for line in lines)
    for line in lines:
        if not line.startswith("translator "):
            subprocess.run(line, shell=True, check=True)
            continue
        assert main(shlex.split(line)[1:]) == 0, f"{line}\n{capsys.readouterr().err}"
        if output := re.search(r"--output (\S+)", line):
            assert (workplace / output[1]).stat().st_size > 1000


@pytest.mark.parametrize("page", PAGES)
def test_python_of_the_page_runs(page: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    run_python(f"docs/{page}")


def test_index_links_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= named


def test_pictures_are_at_most_300_kilobytes() -> None:
    assert all(path.stat().st_size <= 300_000 for path in (ROOT / "docs" / "pictures").iterdir())


@pytest.mark.parametrize("page", PAGES)
def test_files_named_on_the_page_exist(page: str) -> None:
    named = re.findall(r"\]\((pictures/[^)]+)\)", PAGES[page])
    named += [
        f"../{name}" for name in re.findall(r"((?:configs|scripts|translator|benchmarks)/[\w/.-]+\w)", PAGES[page])
    ]
    assert not [name for name in named if not (ROOT / "docs" / name).exists()]
