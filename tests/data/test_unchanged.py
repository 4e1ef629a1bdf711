"""Files that must keep their size while they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from translator.data.files import DataError
from translator.data.unchanged import UnchangedFiles


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "part.tsv"
    file.write_bytes(b"un chat\ta cat\n" * 3)
    return file


def test_a_file_that_changes_while_it_is_read_is_an_error_at_its_end(path: Path) -> None:
    files = UnchangedFiles([path])
    with pytest.raises(DataError, match=r"must not change.*of 14 bytes and of 42 at the start"), files.read([path]):
        path.write_bytes(b"un chat\ta cat\n")


def test_an_error_that_a_change_has_caused_is_replaced_by_that_of_the_change(path: Path) -> None:
    files = UnchangedFiles([path])
    with pytest.raises(DataError, match=r"must not change.*cannot be found any more"), files.read([path]):
        path.unlink()
        raise DataError("Row 2 lacks a column.")


def test_an_error_of_an_unchanged_file_stays(path: Path) -> None:
    files = UnchangedFiles([path])
    with pytest.raises(DataError, match=r"Row 2 lacks a column\."), files.read([path]):
        raise DataError("Row 2 lacks a column.")
