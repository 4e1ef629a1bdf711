"""Training states: intact or refused, and never by running code."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from translator.checkpoint import CheckpointError, read_training_state
from translator.checkpoint.training_state import save_training_state


def state() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    return {"weights": {"w": torch.randn(40, 30, generator=generator)}, "step": 5, "name": "été", "rate": [1e-3, None]}


def is_same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    plain = {key: value for key, value in first.items() if key != "weights"}
    return torch.equal(first["weights"]["w"], second["weights"]["w"]) and all(
        second[key] == value for key, value in plain.items()
    )


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    save_training_state(tmp_path / "training_state.pt", state())
    assert is_same(read_training_state(tmp_path), state())


@pytest.mark.parametrize(("stored", "version"), [({}, 1), ({"version": 3}, 3)])
def test_a_state_of_another_format_is_refused_with_the_way_out(
    tmp_path: Path, stored: dict[str, int], version: int
) -> None:
    torch.save(state() | stored, tmp_path / "training_state.pt")
    expected = rf"format version 2\. Received: .*, version {version}\. To .* set training\.start_from: {tmp_path} and"
    with pytest.raises(CheckpointError, match=expected):
        read_training_state(tmp_path)


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "training_state.pt"
    save_training_state(path, state())
    whole = path.read_bytes()
    refused = 0
    places = range(0, len(whole), 23)
    for number, place in enumerate(places):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << number % 8
        path.write_bytes(damaged)
        try:
            found = read_training_state(tmp_path)
        except CheckpointError:
            refused += 1
        else:
            assert is_same(found, state()), place
    assert refused > 0.7 * len(places)  # the rest is padding and dates


def test_the_damaged_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "training_state.pt"
    save_training_state(path, state())
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1  # in the only tensor
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match=r"the record \w+/data/0 is damaged\)\. Delete .* to resume from"):
        read_training_state(tmp_path)


@pytest.mark.parametrize("length", [0, 100, -100])
def test_a_truncated_state_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "training_state.pt"
    save_training_state(path, state())
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"must resume from a complete training_state\.pt.*not an intact"):
        read_training_state(tmp_path)


def test_a_missing_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        read_training_state(tmp_path)


class _Bomb:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (_explode, (str(self.path),))


def _explode(path: str) -> None:
    Path(path).touch()


def test_a_pickle_is_refused_without_advice_to_load_it_and_never_run(tmp_path: Path) -> None:
    path = tmp_path / "training_state.pt"
    path.write_bytes(pickle.dumps(_Bomb(tmp_path / "crater")))
    with pytest.raises(CheckpointError, match="not an intact archive"):
        read_training_state(tmp_path)
    torch.save(_Bomb(tmp_path / "crater"), path)
    with pytest.raises(CheckpointError, match="other objects than tensors and plain values") as failure:
        read_training_state(tmp_path)
    assert "weights_only" not in str(failure.value)
    assert not (tmp_path / "crater").exists()
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="it contains a list"):
        read_training_state(tmp_path)


def test_a_state_with_compressed_records_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "training_state.pt"
    save_training_state(path, state())
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    with pytest.raises(CheckpointError, match="is compressed"):
        read_training_state(tmp_path)


def test_a_pipe_in_place_of_a_state_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "training_state.pt")
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_training_state(tmp_path)


def test_a_full_disk_is_called_a_full_disk(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys, torch; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from pathlib import Path; from translator.checkpoint.training_state import save_training_state;"
        "save_training_state(Path(sys.argv[1]), {'w': torch.zeros(100_000)})"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] != 0
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "x.pt")], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "OSError: [Errno 27] File too large"
