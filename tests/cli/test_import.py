from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sentences import PAIRS

from translator.checkpoint import LoadedModel
from translator.cli import main
from translator.export.marian import export_to_marian


def test_an_imported_model_translates(
    random_model: Callable[..., LoadedModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_to_marian(random_model(norm="post"), tmp_path / "marian", PAIRS[:3])
    assert main(["import", str(tmp_path / "marian"), "-o", str(tmp_path / "imported")]) == 0
    assert "imported: 0." in capsys.readouterr().err
    assert main(["translate", str(tmp_path / "imported"), "--device", "cpu", "Le chat dort."]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert main(["import", str(tmp_path / "marian"), "-o", str(tmp_path / "imported")]) == 2
    assert "must be written to a new folder" in capsys.readouterr().err


def test_a_folder_without_a_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(tmp_path), "-o", str(tmp_path / "imported")]) == 2
    assert "A Marian directory must have config.json, vocab.json, source.spm, target.spm, " in capsys.readouterr().err
