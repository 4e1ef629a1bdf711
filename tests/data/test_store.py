from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from translator.data.files import DataError
from translator.data.store import MappedRagged, Ragged, RaggedWriter, build_once

ROWS = [[1, 2, 3], [], [4], [5, 6], [], [7, 8, 9, 10]]


def test_rows_come_back_in_any_order() -> None:
    ragged = Ragged.of_rows(ROWS, np.int32)
    assert [ragged[row].tolist() for row in range(len(ragged))] == ROWS
    taken = ragged.take(np.array([5, 1, 0, 5]))
    assert [taken[row].tolist() for row in range(4)] == [ROWS[5], [], ROWS[0], ROWS[5]]
    both = taken.append(ragged)
    assert [both[row].tolist() for row in range(10)] == [ROWS[5], [], ROWS[0], ROWS[5], *ROWS]
    assert len(Ragged.of_rows([], np.int32).take(np.empty(0, np.int64))) == 0


def test_written_rows_are_mapped_and_survive_pickling(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 1000, rng.integers(0, 20)).astype(np.uint16) for _ in range(1000)]
    with RaggedWriter(tmp_path, "x") as writer:
        for start in range(0, 1000, 300):
            part = Ragged.of_rows(rows[start : start + 300], np.uint16)
            writer.write(part.values.tobytes(), part.lengths)
    mapped = pickle.loads(pickle.dumps(MappedRagged(tmp_path, "x", np.uint16)))
    assert len(mapped) == 1000
    order = rng.permutation(1000)
    taken = mapped.take(order)
    for place, row in enumerate(order):
        np.testing.assert_array_equal(taken[place], rows[row])
    assert mapped.lengths(slice(5, 9)).tolist() == [len(row) for row in rows[5:9]]


def test_no_rows_are_a_file_too(tmp_path: Path) -> None:
    with RaggedWriter(tmp_path, "x") as writer:
        writer.write(b"", np.empty(0, np.int64))
    mapped = MappedRagged(tmp_path, "x", np.uint16)
    assert len(mapped) == 0
    assert len(mapped.take(np.empty(0, np.int64)).values) == 0


def test_a_folder_is_built_once_and_whole(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "key"

    def fail(temporary: Path) -> None:
        (temporary / "half").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        build_once(folder, fail)
    assert not folder.exists()
    assert build_once(folder, lambda temporary: (temporary / "whole").write_text("whole")) == folder  # type: ignore[arg-type]
    assert [path.name for path in folder.iterdir()] == ["whole"]
    build_once(folder, fail)  # there already: not called
    assert sorted(path.name for path in folder.parent.iterdir()) == ["key", "key.lock"]


def test_what_a_killed_build_left_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "key"
    (tmp_path / "cache" / ".key.killed.partial").mkdir(parents=True)
    build_once(folder, lambda temporary: None)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["key", "key.lock"]


def test_a_build_that_another_process_overtook_is_dropped(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "key"

    def overtaken(temporary: Path) -> None:
        folder.mkdir()
        (folder / "theirs").write_text("")
        (temporary / "ours").write_text("")

    build_once(folder, overtaken)
    assert [path.name for path in folder.iterdir()] == ["theirs"]


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"data.cache must be a folder that can be written. Received: .*file/text"):
        build_once(tmp_path / "file" / "text" / "key", lambda temporary: None)
