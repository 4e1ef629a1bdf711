"""Atomic writes of files and folders."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from translator import atomic_io
from translator.atomic_io import atomic_write, is_new, new_folder, sync


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic_write(tmp_path / "a", "été")
    assert (tmp_path / "a").read_bytes() == "été".encode()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_io.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        atomic_write(tmp_path / "a", b"new")
    assert caught.value.filename == str(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == "été".encode()


def test_directories_are_not_synced_where_the_file_system_cannot_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()

    def fails_with(number: int) -> None:
        def fsync(descriptor: int) -> None:
            raise OSError(number, "failed")

        monkeypatch.setattr(atomic_io.os, "fsync", fsync)

    fails_with(errno.EINVAL)
    sync(tmp_path)
    with pytest.raises(OSError, match="failed"):
        sync(tmp_path / "file")
    fails_with(errno.EIO)
    with pytest.raises(OSError, match="failed"):
        sync(tmp_path)


def test_two_writers_of_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a") as first:
        with pytest.raises(KeyError), new_folder(tmp_path / "a") as second:
            (first / "x").touch()
            assert first != second and not any(second.iterdir())
            raise KeyError
        assert [path.name for path in first.iterdir()] == ["x"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_only_the_holder_of_a_lock_deletes_leftovers(tmp_path: Path) -> None:
    leftover = tmp_path / ".a.0123.partial"
    leftover.mkdir()
    other = tmp_path / ".ab.0123.partial"
    other.mkdir()
    with new_folder(tmp_path / "a"):
        assert leftover.exists()
    with new_folder(tmp_path / "a", is_locked=True):
        assert not leftover.exists() and other.exists()


def test_a_folder_with_content_is_replaced_on_request_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert is_new(tmp_path / "a") and is_new(tmp_path / "b")
    (tmp_path / "a" / "old").touch()
    assert not is_new(tmp_path / "a")
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "a"):
        pass
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["old"]
    with new_folder(tmp_path / "a", replace=True) as temporary:
        (temporary / "new").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]
