"""The commands and the Python of docs/exports.md run, with fewer sentences to compare."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece
from pages import blocks, commands

from translator import Translator
from translator.checkpoint import CONFIG_FILE, LoadedModel, point, weights_of, write_checkpoint
from translator.cli import main
from translator.config import to_yaml

ctranslate2 = pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

PAGE = "docs/exports.md"
FEW = ["--test", "{phrasebook: test, max_examples: 8}"]


def write_run(loaded: LoadedModel, run: Path) -> None:
    run.mkdir(parents=True)
    (run / CONFIG_FILE).write_text(to_yaml(loaded.config), encoding="utf-8")
    loaded.tokenizers.save(run)
    point(run, "best", write_checkpoint(run, "step-1", weights_of(loaded.model), loaded.tokenizers))


def test_every_command_and_every_line_of_python_runs(
    random_model: Callable[..., LoadedModel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "in.fr").write_text("Où est la gare ?\n", encoding="utf-8")
    write_run(random_model(norm="post", sinusoids="halves"), tmp_path / "runs" / "phrasebook-marian")
    found = commands(PAGE)
    assert len(found) == 7
    for command in found:
        arguments = shlex.split(command)[1:]
        if arguments[0] == "import":  # stands for a download from the hub
            shutil.copytree("phrasebook-marian-hf", arguments[1])
        assert main([*arguments, *(FEW if arguments[0] == "export" else [])]) == 0, command
        assert "texts the same" in capsys.readouterr().err or arguments[0] != "export"
    names = {
        "lines": ["Où est la gare ?"],
        "Translator": Translator,
        "sentencepiece": sentencepiece,
        "ctranslate2": ctranslate2,
        "AutoTokenizer": transformers.AutoTokenizer,
        "AutoModelForSeq2SeqLM": transformers.AutoModelForSeq2SeqLM,
    }
    for code in blocks(PAGE, "python"):
        exec(code, names)
    assert (tmp_path / "out.en").read_text(encoding="utf-8") == "Where is the station?\n"
