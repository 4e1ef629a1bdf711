"""`translator attention`: pages and images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from translator.cli import main

SENTENCE = "Le chat dort."


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "name", "beginning"),
    [
        ([], "attention.html", b"<!DOCTYPE html>"),
        (["--kind", "cross", "--layer", "2", "--head", "3", "--words", "-o", "map.html"], "map.html", b"<!DOCTYPE"),
        (["--target", "The cat sleeps.", "--output", "grid.PNG"], "grid.PNG", b"\x89PNG"),
        (["--layer", "2", "--head", "1", "--words", "-o", "head.svg"], "head.svg", b"<?xml"),
    ],
)
def test_the_suffix_of_the_output_chooses_the_format(
    arguments: list[str], name: str, beginning: bytes, model_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["attention", str(model_directory), SENTENCE, *arguments]) == 0
    assert Path(name).read_bytes().startswith(beginning)
    assert list(Path().iterdir()) == [Path(name)]
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"translator: {name} (")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "3"], "A layer of encoder attention must be from 1 to 2. Received: 3."),
        (["--layer", "0", "-o", "map.svg"], "A layer of encoder attention must be from 1 to 2. Received: 0."),
        (["--head", "5"], "A head of encoder attention in layer 1 must be from 1 to 4. Received: 5."),
        (["-o", "map.pdf"], "--output must end with .html or .png or .svg. Received: map.pdf."),
        (["-o", "map"], "--output must end with .html or .png or .svg. Received: map."),
        (["-o", "no/map.svg"], "--output must be a writable file. Received: no/map.svg (No such file"),
        (["--target", ""], "A target must contain text. Received: ''. Omit it"),
    ],
)
def test_invalid_arguments_give_one_message(
    arguments: list[str], message: str, model_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["attention", str(model_directory), SENTENCE, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"translator: {message}") and err.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_an_empty_sentence_gives_one_message(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attention", str(model_directory), " "]) == 2
    assert "A sentence must contain text. Received: ' '." in capsys.readouterr().err


def test_translating_imports_no_inspection(model_directory: Path) -> None:
    script = (
        "import sys; from translator.cli import main;"
        f"code = main(['translate', {str(model_directory)!r}, '--max-length-factor', '0.2', 'oui']);"
        "print([name for name in sys.modules if name.startswith(('translator.inspection', 'matplotlib'))], code)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"
