from __future__ import annotations

from pathlib import Path

import pytest

from translator.cli import main


def test_a_bundle_translates_like_its_model(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", str(model_directory), str(tmp_path / "xx-yy"), "--storage", "float32"]) == 0
    assert "xx-yy: 0." in capsys.readouterr().err
    outputs = []
    for model in (model_directory, tmp_path / "xx-yy"):
        assert main(["translate", str(model), "Le chat dort.", "--device", "cpu"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_the_file_shrinks_with_the_storage_type(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = []
    for storage in ("float32", "bfloat16", "int8"):
        assert main(["bundle", str(model_directory), str(tmp_path / storage), "--storage", storage]) == 0
        sizes.append((tmp_path / storage / "model.safetensors").stat().st_size)
    assert sizes[1] < 0.6 * sizes[0] and sizes[2] < 0.5 * sizes[0]


def test_an_existing_folder_is_refused(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").touch()
    assert main(["bundle", str(model_directory), str(tmp_path / "x")]) == 2
    assert "must be written to a new folder" in capsys.readouterr().err
