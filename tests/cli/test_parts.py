from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from translator.cli.parts import PartError, Parts, Progress
from translator.cli.streams import StreamError
from translator.ranks import Rank

JOB = {"input": "12 bytes", "ranks": "2"}


def parts_of(tmp_path: Path, rank: int, **changes: str) -> Parts:
    return Parts(str(tmp_path / "out"), Rank(rank, 2, rank), JOB | changes)


def write_part(tmp_path: Path, rank: int, text: bytes, **changes: str) -> Counter[str] | None:
    """Write and finish the part of a rank."""
    its_parts = parts_of(tmp_path, rank, **changes)
    with its_parts.opened() as (file, _):
        file.write(text)
        progress = Progress(JOB | changes, 6, 6, line=1, flags={"empty": rank + 1}, is_finished=True)
        return its_parts.finish(its_parts.save(file, progress))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_last_rank_to_finish_joins_the_parts_in_order(order: tuple[int, int], tmp_path: Path) -> None:
    assert write_part(tmp_path, order[0], b"%d\n" % order[0]) is None
    assert not (tmp_path / "out").exists()
    assert write_part(tmp_path, order[1], b"%d\n" % order[1]) == Counter({"empty": 3})
    assert (tmp_path / "out").read_bytes() == b"0\n1\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.parts.json"]


def test_a_joined_output_is_recognized_until_it_or_the_job_changes(tmp_path: Path) -> None:
    for rank in (0, 1):
        assert not parts_of(tmp_path, rank).is_joined()
        write_part(tmp_path, rank, b"x\n")
    (tmp_path / "out.parts").mkdir()  # created by a rank that started while the others finished
    assert write_part(tmp_path, 1, b"x\n") is None
    assert parts_of(tmp_path, 0).is_joined() and not (tmp_path / "out.parts").exists()
    assert not parts_of(tmp_path, 0, input="13 bytes").is_joined()
    for changed in (b"y\ny\n", b"changed\n"):
        (tmp_path / "out").write_bytes(changed)
        assert not parts_of(tmp_path, 0).is_joined()


def test_what_was_written_after_the_last_record_is_dropped(tmp_path: Path) -> None:
    its_parts = parts_of(tmp_path, 0)
    with its_parts.opened() as (file, progress):
        assert progress is None
        file.write(b"saved\n")
        its_parts.save(file, Progress(JOB, 9, 12, line=1, flags={"empty": 1}))
        file.write(b"half of a li")
    with parts_of(tmp_path, 0).opened() as (file, progress):
        assert progress == Progress(JOB, 9, 12, size=6, line=1, flags={"empty": 1})
        assert file.tell() == 6
    assert (tmp_path / "out.parts" / "00000").read_bytes() == b"saved\n"


def test_a_part_that_lost_what_was_recorded_begins_again(tmp_path: Path) -> None:
    its_parts = parts_of(tmp_path, 0)
    with its_parts.opened() as (file, _):
        file.write(b"saved\n")
        its_parts.save(file, Progress(JOB, 9, 12))
    (tmp_path / "out.parts" / "00000").write_bytes(b"s")
    with parts_of(tmp_path, 0).opened() as (file, progress):
        assert (progress, file.tell()) == (None, 0)


def test_parts_of_another_job_are_refused_with_what_changed(tmp_path: Path) -> None:
    write_part(tmp_path, 0, b"x\n")
    for rank in (0, 1):
        with (
            pytest.raises(PartError, match=r"Received: input: 12 bytes -> 13 bytes; model: none -> other. Run the "),
            parts_of(tmp_path, rank, input="13 bytes", model="other").opened(),
        ):
            pass


def test_a_rank_that_runs_twice_at_once_is_refused(tmp_path: Path) -> None:
    with (
        parts_of(tmp_path, 1).opened(),
        pytest.raises(PartError, match=r"00001 is written by another process, which is rank 1, too"),
        parts_of(tmp_path, 1).opened(),
    ):
        pass


def test_a_damaged_part_is_not_joined(tmp_path: Path) -> None:
    write_part(tmp_path, 0, b"x\n")
    (tmp_path / "out.parts" / "00000").write_bytes(b"")
    with pytest.raises(PartError, match=r"00000 must be complete, and is not. Delete .*out.parts"):
        write_part(tmp_path, 1, b"x\n")


def test_a_cut_entry_of_a_killed_rank_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "out.parts").mkdir()
    (tmp_path / "out.parts" / "finished").write_text('{"job": {"inp')
    assert write_part(tmp_path, 0, b"0\n") is None
    with (tmp_path / "out.parts" / "finished").open("a") as file:
        file.write('\n{"job": {"inp')
    assert write_part(tmp_path, 1, b"1\n") is not None
    assert (tmp_path / "out").read_bytes() == b"0\n1\n"


@pytest.mark.parametrize("place", ["none/out", "file/out"])
def test_an_output_that_cannot_be_written_is_reported(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(
            StreamError, match=r"--output must be a writable file\. Received: .* Give a file in a folder that exists"
        ),
        Parts(str(tmp_path / place), Rank(0, 2, 0), JOB).opened(),
    ):
        pass


def test_a_full_disk_is_reported_with_the_output_and_the_part_resumes(tmp_path: Path) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    with parts_of(tmp_path, 0).opened() as (file, _):
        file.write(b"saved\n")
        parts_of(tmp_path, 0).save(file, Progress(JOB, 9, 12, line=1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, unlimited[1]))  # as if the disk were full
    try:
        with (
            pytest.raises(StreamError, match=r"must have room on its disk. Received: .*/out \(File too large\)"),
            parts_of(tmp_path, 0).opened() as (file, _),
        ):
            file.write(bytes(100_000))
            parts_of(tmp_path, 0).save(file, Progress(JOB, 12, 12, line=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    with parts_of(tmp_path, 0).opened() as (_, progress):
        assert progress is not None and progress.line == 1 and progress.size == 6


def test_an_output_that_is_not_a_file_is_refused() -> None:
    with pytest.raises(StreamError, match=r"Several ranks require that --output is a file. Received: /dev/null."):
        Parts("/dev/null", Rank(0, 2, 0), JOB)


def test_without_locks_a_warning_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(error: int) -> Any:
        def flock(file: object, operation: int) -> None:
            raise OSError(error, os.strerror(error))

        return flock

    monkeypatch.setattr(fcntl, "flock", fail(errno.ENOLCK))
    for rank in (0, 1):
        write_part(tmp_path, rank, b"%d\n" % rank)
    assert (tmp_path / "out").read_bytes() == b"0\n1\n"
    assert "out.parts cannot be locked: run no rank twice at the same time." in capsys.readouterr().err
    monkeypatch.setattr(fcntl, "flock", fail(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"), parts_of(tmp_path, 0, input="1").opened():
        pass


class Killed(BaseException):
    """Stands for SIGKILL at one of the calls that change the disk."""


def kill_at(monkeypatch: pytest.MonkeyPatch, call: int) -> list[int]:
    """Raise `Killed` at the given call of the functions that change the disk; return the counter of calls."""
    calls = [0]

    def counted(function: Any) -> Any:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == call:
                raise Killed
            return function(*arguments, **options)

        return wrapper

    for owner, name in (
        (os, "fsync"),
        (Path, "replace"),
        (Path, "rename"),
        (Path, "mkdir"),
        (shutil, "copyfileobj"),
        (shutil, "rmtree"),
        (json, "dumps"),
        (Path, "unlink"),
    ):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    return calls


def test_a_kill_at_any_change_of_the_disk_loses_nothing(tmp_path: Path) -> None:
    def run(folder: Path, rank: int) -> None:
        its_parts = parts_of(folder, rank)
        if its_parts.is_joined():
            return
        with its_parts.opened() as (file, progress):
            for number in range(0 if progress is None else progress.line, 3):
                file.write(b"%d %d\n" % (rank, number))
                progress = Progress(JOB, number + 1, 3, line=number + 1, is_finished=number == 2)
                progress = its_parts.save(file, progress)
            assert progress is not None
            its_parts.finish(progress)

    kills = 0
    for killed in (0, 1):
        for call in range(1, 100):
            folder = tmp_path / f"{killed}-{call}"
            folder.mkdir()
            run(folder, 1 - killed)
            with pytest.MonkeyPatch.context() as patch:
                calls = kill_at(patch, call)
                try:
                    run(folder, killed)
                except Killed:
                    kills += 1
            run(folder, killed)
            assert (folder / "out").read_bytes() == b"0 0\n0 1\n0 2\n1 0\n1 1\n1 2\n"
            assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
                "out",
                "out.parts.json",
            ]
            if calls[0] < call:
                break
    assert kills > 20
