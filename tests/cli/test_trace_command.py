from __future__ import annotations

import json
from pathlib import Path

import pytest

from translator import Translator
from translator.cli import main

SENTENCE = "Où est la gare ?"


def test_a_trace_ends_with_the_translation(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", str(model_directory), SENTENCE]) == 0
    out = capsys.readouterr().out
    expected = Translator.load(model_directory, "cpu").translate(SENTENCE, beam_size=1).text
    assert out.startswith(f"Sentence: {SENTENCE}\n") and out.endswith(f"   {expected}\n")


def test_a_trace_can_be_written_as_json(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--json", "--temperature", "2", "--top-k", "4", "--top-p", "0.9", "--top", "7", "--values", "3"]
    assert main(["trace", str(model_directory), SENTENCE, *options]) == 0
    out = capsys.readouterr().out
    found = json.loads(out)
    assert out.count("\n") == 1
    assert len(found["embedding"]["values"][0]) == 3
    assert all(len(step["top"]) == 7 for step in found["steps"])
    assert all(sum(x["sampling_probability"] > 0 for x in step["top"]) <= 4 for step in found["steps"])


def test_a_sampled_trace_has_the_sampled_translation(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--sample", "--seed", "5", "--temperature", "1.2"]
    assert main(["translate", str(model_directory), *options, SENTENCE]) == 0
    expected = capsys.readouterr().out
    for arguments in ([SENTENCE, *options], [*options, SENTENCE]):
        assert main(["trace", str(model_directory), *arguments]) == 0
        assert capsys.readouterr().out.endswith(f"   {expected}")


@pytest.mark.parametrize("rest", [["Une", "phrase"], ["--sampel"]])
def test_more_than_a_sentence_is_refused(
    model_directory: Path, capsys: pytest.CaptureFixture[str], rest: list[str]
) -> None:
    assert main(["trace", str(model_directory), "--precision", "bfloat16", *rest]) == 2
    assert f"unrecognized arguments: {' '.join(rest)}" in capsys.readouterr().err


def test_the_worked_example_needs_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--worked-example"]) == 0
    assert "| Jane | [1, 0] | [1, 0, 1] | [0.42232, 0.15536, 0.42232] |" in capsys.readouterr().out
    assert main(["trace", "--worked-example", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == ["Jane", "visits", "Paris"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "trace requires a model and a sentence, or --worked-example."),
        (["MODEL"], "trace requires a model and a sentence, or --worked-example."),
        (["MODEL", "oui", "--worked-example"], "--worked-example takes no model, sentence or sampling options."),
        (["--worked-example", "--top-k", "2"], "--worked-example takes no model, sentence or sampling options."),
        (["MODEL", "oui", "--seed", "3"], "--seed requires --sample. Add it."),
        (["MODEL", ""], "A sentence must contain text. Received: ''."),
        (["MODEL", "oui " * 40], "A sentence must have at most 30 tokens. Received: "),
        (["MODEL", "oui", "--temperature", "-1"], "temperature: must be greater than or equal to 0. Received: -1.0."),
        (["MODEL", "oui", "--top-k", "-1"], "top_k: must be greater than or equal to 0. Received: -1."),
        (["MODEL", "oui", "--top-p", "2"], "top_p: must be less than or equal to 1. Received: 2.0."),
        (["MODEL", "oui", "--top", "0"], "num_top must be at least 1. Received: 0."),
        (["MODEL", "oui", "--values", "0"], "num_values must be at least 1. Received: 0."),
    ],
)
def test_invalid_combinations_give_one_message(
    arguments: list[str], message: str, model_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(model_directory) if argument == "MODEL" else argument for argument in arguments]
    assert main(["trace", *given]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"translator: {message}") and err.count("\n") == 1
