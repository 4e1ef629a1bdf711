from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from translator.cli import main
from translator.cli.export import QUANTIZATIONS
from translator.engines.ctranslate2_model import Quantization

pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")
TEST = "{phrasebook: test, max_examples: 10}"


def test_an_exported_model_is_used_as_the_original_is(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(model_directory), "--to", "ctranslate2", "--test", TEST]) == 0
    folder = f"{model_directory.name}-ctranslate2"
    messages = capsys.readouterr().err
    assert "greedy search: 7 of 7 texts the same\n" in messages and f"\n{folder}: 0." in messages
    outputs = []
    for model, engine in ((folder, "auto"), (folder, "ctranslate2"), (str(model_directory), "auto")):
        assert main(["translate", model, "--device", "cpu", "--engine", engine, "Le chat dort."]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] == outputs[2]
    assert main(["score", folder, "--device", "cpu", "-i", "/dev/null"]) == 0
    capsys.readouterr()
    scores = []
    for model in (folder, str(model_directory)):
        assert main(["evaluate", model, "--device", "cpu", "--test", TEST, "--json", "--beam-size", "1"]) == 0
        scores.append(json.loads(capsys.readouterr().out))
    assert scores[0] == scores[1]


def test_commands_that_inspect_or_copy_weights_refuse_an_exported_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.bin").touch()
    for arguments in (["trace"], ["attention"]):
        assert main([*arguments, str(tmp_path), "Oui.", "--device", "cpu"]) == 2
        message = capsys.readouterr().err
        assert "which was exported to CTranslate2's format. Use the model that it was exported from." in message
    assert main(["bundle", str(tmp_path), str(tmp_path / "bundle")]) == 2
    assert "which was exported to CTranslate2's format" in capsys.readouterr().err


def test_quantizations_are_those_of_the_format() -> None:
    assert get_args(Quantization) == QUANTIZATIONS


def test_an_existing_folder_is_refused(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").touch()
    arguments = ["export", str(model_directory), "--to", "ctranslate2", "--test", TEST, "-o", str(tmp_path / "x")]
    assert main(arguments) == 2
    assert "must be written to a new folder" in capsys.readouterr().err


def test_an_unknown_engine_or_format_is_refused(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", str(model_directory), "--engine", "onnx", "Oui."]) == 2
    assert "argument --engine: invalid choice: 'onnx'" in capsys.readouterr().err
    assert main(["export", str(model_directory), "--to", "onnx"]) == 2
    assert "argument --to: invalid choice: 'onnx'" in capsys.readouterr().err


def test_a_model_that_marian_cannot_express_is_refused_with_all_reasons(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(model_directory), "--to", "marian", "-o", str(tmp_path / "x")]
    assert main(arguments) == 2
    assert "model.norm must be post. Received: pre.\n  model.final_norm must be false." in capsys.readouterr().err
    assert main([*arguments, "--quantization", "int8"]) == 2
    assert "--quantization applies to --to ctranslate2 only" in capsys.readouterr().err
