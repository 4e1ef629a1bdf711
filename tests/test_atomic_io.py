"""Small files that are whole or not there."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from translator import atomic_io
from translator.atomic_io import sync, write_whole


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "a", "été")
    assert (tmp_path / "a").read_bytes() == "été".encode()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_io.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", b"new")
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
