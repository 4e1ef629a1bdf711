"""What docs/variations.md says is run, with its recipes made short."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest

from translator.cli import main

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "variations.md").read_text(encoding="utf-8")
SHORTER = [
    "training.max_steps=4",
    "training.save_every=2",
    "training.validate_every=4",
    "training.warmup_steps=1",
    "training.valid_decode_examples=4",
    "training.batch_tokens=256",
    "tokenizer.vocab_size=500",
    "model.d_model=32",
    "model.d_ff=32",
    "decoding.max_length_factor=0.2",
]
PAIRS = ["data.train={phrasebook: train, max_examples: 2000}", "data.valid={phrasebook: valid, max_examples: 20}"]
TEST = ["data.test={phrasebook: test, max_examples: 20}"]
DATA = {
    "phrasebook-gpt": [
        "data.train={phrasebook: train, text_column: en, max_examples: 2000}",
        "data.valid={phrasebook: valid, text_column: en, max_examples: 20}",
        "data.test={phrasebook: test, text_column: en, max_examples: 20}",
    ],
    "phrasebook-denoising": ["data.train={phrasebook: train, text_column: [fr, en], max_examples: 2000}"],
    "phrasebook-repair": ["data.train={phrasebook: train, text_column: [fr, en], max_examples: 2000}"],
    "phrasebook-translation-lm": [*PAIRS, *TEST],
    "phrasebook-scarce": [*PAIRS, *TEST],
    "sentiment-masked": [],
    "sentiment": ["data.test={sentiment: test, max_examples: 20}"],
}


def commands() -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_the_commands_and_the_python_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in [*commands(), "translator train configs/phrasebook-repair.yaml"]:
        program, verb, *arguments = shlex.split(command)
        assert program == "translator"
        if verb == "train":
            name = Path(arguments[0]).stem
            arguments = [str(ROOT / arguments[0]), *SHORTER, *DATA[name], f"data.cache={tmp_path / 'cache'}"]
        assert main([verb, *arguments]) == 0, capfd.readouterr().err
    output = capfd.readouterr().out
    assert "I have" in output and "bag of words" in output and "perplexity" in output
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S):
        test = doctest.DocTestParser().get_doctest(block, {}, "variations.md", None, 0)
        assert test.examples
        assert doctest.DocTestRunner().run(test).failed == 0
