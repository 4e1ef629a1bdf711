"""A folder is complete or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from translator.export.folder import ExportError, export_folder


def test_a_folder_appears_when_its_block_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "model"
    with export_folder(folder) as temporary:
        (temporary / "a").write_text("a")
        assert not folder.exists()
    assert (folder / "a").read_text() == "a" and [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), export_folder(tmp_path / "model") as temporary:
        (temporary / "a").touch()
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_used_and_another_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with export_folder(tmp_path / "empty") as temporary:
        (temporary / "a").touch()
    with (
        pytest.raises(ExportError, match=r"must be written to a new folder\. Received: .*empty, which exists\."),
        export_folder(tmp_path / "empty"),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ExportError, match=r"file/model could not be written"),
        export_folder(tmp_path / "file" / "model"),
    ):
        pass
