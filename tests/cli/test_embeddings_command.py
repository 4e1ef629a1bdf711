from __future__ import annotations

import json
from pathlib import Path

import pytest

from translator.cli import main


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(model: Path, *arguments: str) -> int:
    return main(["embeddings", str(model), *arguments])


def test_neighbors_are_written_with_their_cosines(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model_directory, "nearest", "chat", "--mean", "-n", "3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert run(model_directory, "nearest", "chat", "--mean", "-n", "3", "--json") == 0
    found = json.loads(capsys.readouterr().out)["nearest"]
    assert [line.split()[0] for line in lines] == [neighbor["piece"] for neighbor in found]
    assert len(found) == 3
    assert run(model_directory, "nearest", "cat", "--mean", "--target", "--whole-words") == 0
    assert all(line.startswith("▁") for line in capsys.readouterr().out.splitlines())


def test_an_angle_is_written_as_text_or_json(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model_directory, "angle", "chat", "gare", "--mean") == 0
    assert run(model_directory, "angle", "chat", "gare", "--mean", "--json") == 0
    text, data = capsys.readouterr().out.splitlines()
    assert text == "cosine {cosine:+.4f}, angle {degrees:.2f} degrees".format(**json.loads(data))


@pytest.mark.parametrize(
    ("name", "beginning"), [("embeddings.html", b"<!DOCTYPE"), ("a.png", b"\x89PNG"), ("a.svg", b"<?xml")]
)
@pytest.mark.parametrize(("dimensions", "encoding"), [("2", "utf-8"), ("3", "utf-16")])
def test_the_words_of_a_file_are_plotted(
    name: str, beginning: bytes, dimensions: str, encoding: str, model_directory: Path
) -> None:
    Path("mots.txt").write_text("chat\n\ngare\npain\r\noeufs\n", encoding=encoding)
    output = [] if name == "embeddings.html" else ["-o", name]
    assert run(model_directory, "plot", "mots.txt", "--mean", "--dimensions", dimensions, *output) == 0
    assert Path(name).read_bytes().startswith(beginning)


def test_a_word_in_context_is_two_tables(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentences = ["Le chat dort.", "Où est le chat ?"]
    assert run(model_directory, "contexts", "chat", *sentences) == 0
    out = capsys.readouterr().out
    assert out.startswith("1. Le chat dort.\n2. Où est le chat ?\n\nStatic: ") and "\nContextual: " in out
    assert run(model_directory, "contexts", "chat", *sentences, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sentences"] == sentences
    assert f"{found['encodings'][0][1]:+.4f}" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nearest", "xylophone"], "A word must be one token of the vocabulary. Received: 'xylophone', which is ▁"),
        (["nearest", "chat", "--mean", "-n", "0"], "count must be at least 1. Received: 0."),
        (["angle", "xylophone", "zythum"], "A word must be one token of the vocabulary. Received: 'xylophone', which"),
        (["plot", "none.txt"], "FILE must be a text file with one word per line. Received: none.txt (No such file"),
        (["plot", "latin1.txt"], "FILE must be a text file with one word per line. Received: latin1.txt (not UTF-8)."),
        (["plot", "one.txt", "--mean"], "A projection to 2 dimensions requires at least 3 words. Received: 1."),
        (["plot", "one.txt", "--dimensions", "5"], "dimensions must be 2 or 3. Received: 5."),
        (["plot", "one.txt", "-o", "a.gif"], "--output must end with .html or .png or .svg. Received: a.gif."),
        (["contexts", "chat", "Où est la gare ?"], "Each sentence must contain the word 'chat'. Received: 'Où est la"),
        (["contexts", "chat", ""], "A sentence must contain text. Received: ''."),
    ],
)
def test_invalid_words_give_one_message(
    arguments: list[str], message: str, model_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("one.txt").write_text("chat\n", encoding="utf-8")
    Path("latin1.txt").write_bytes("été\n".encode("latin-1"))
    assert run(model_directory, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"translator: {message}") and err.count("\n") == 1
