"""The commands and the Python of docs/variations.md run, with less training."""

from __future__ import annotations

import random
import shlex
from pathlib import Path

import pytest
from pages import ROOT, commands, run_python

from translator.cli import main

PAGE = "docs/variations.md"
SHORTER = [
    "training.max_steps=4",
    "training.save_every=2",
    "training.validate_every=4",
    "training.warmup_steps=1",
    "training.valid_decode_examples=4",
    "training.batch_tokens=256",
    "tokenizer.vocab_size=310",
    "model.d_model=32",
    "model.d_ff=32",
    "decoding.max_length_factor=0.2",
]
WORDS = (
    *("chat", "chien", "film", "livre", "repas", "hôtel", "bon", "mauvais", "très", "pas", "noir", "petit", "vieux"),
    *("jardin", "maison", "fenêtre", "voiture", "pomme", "ville", "école", "musique", "rivière", "montagne", "soleil"),
)


def overrides(name: str, folder: Path) -> list[str]:
    """Overrides that train the configuration of this name on the table of `write_table`."""
    columns = {
        "phrasebook-gpt": "text_column: en",
        "phrasebook-denoising": "text_column: [fr, en]",
        "phrasebook-repair": "text_column: [fr, en]",
        "sentiment-masked": "text_column: fr",
        "sentiment": "text_column: fr",
    }
    more = f", {columns[name]}" if name in columns else ""
    sources = [f"data.{part}={{file: {folder / 'table.tsv'}{more}}}" for part in ("train", "valid", "test")]
    return [*SHORTER, *sources, f"data.cache={folder / 'cache'}"]


def write_table(folder: Path) -> None:
    """Write a few hundred sentence pairs in two artificial languages, with a label."""
    rng = random.Random(1)
    rows = []
    for _ in range(300):
        words = rng.choices(WORDS, k=rng.randint(3, 8))
        label = "negative" if "pas" in words or "mauvais" in words else "positive"
        rows.append(f"{' '.join(words)}.\t{' '.join(word[::-1] for word in words)}.\t{label}\n")
    (folder / "table.tsv").write_text("fr\ten\tlabel\n" + "".join(rows), encoding="utf-8")


def test_commands_and_python_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    for command in [*commands(PAGE), "translator train configs/phrasebook-repair.yaml"]:
        program, verb, *arguments = shlex.split(command)
        assert program == "translator"
        if verb == "train":
            arguments = [str(ROOT / arguments[0]), *overrides(Path(arguments[0]).stem, tmp_path), *arguments[1:]]
        assert main([verb, *arguments]) == 0, capfd.readouterr().err
    output = capfd.readouterr().out
    assert "I have" in output and "accuracy" in output and "perplexity" in output
    assert run_python(PAGE) >= 7
