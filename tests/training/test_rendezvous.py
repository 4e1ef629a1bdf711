"""Ranks that find each other, do not come, or are of other versions."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from launching import finish, rank_environments

from translator.ranks import RankError
from translator.training import rendezvous
from translator.training.parallel import Ranks
from translator.training.rendezvous import code_fingerprint

JOIN = """
import sys, time
from datetime import timedelta
from translator.training import parallel, rendezvous
rendezvous.JOIN_TIMEOUT = parallel.JOIN_TIMEOUT = timedelta(seconds=int(sys.argv[1]))
parallel.code_fingerprint = lambda folder: sys.argv[2]
start = time.monotonic()
try:
    parallel.Ranks.join()
except parallel.RankError as error:
    sys.exit(f"{error} After {time.monotonic() - start:.1f} s.")
"""


def test_ranks_with_different_code_all_stop_with_the_versions() -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", JOIN, "60", f"abc{rank}"], env=place, stderr=subprocess.PIPE, text=True)
        for rank, place in enumerate(rank_environments(2))
    ]
    for code, error in finish(processes):
        assert code == 1
        assert f"rank 0 has torch {torch.__version__}, code abc0; rank 1 has torch" in error, error


@pytest.mark.parametrize("alone", [0, 1])
def test_a_rank_that_never_starts_is_not_waited_for_longer_than_the_limit(alone: int) -> None:
    assert timedelta(seconds=45) >= rendezvous.JOIN_TIMEOUT
    place = rank_environments(2)[alone]
    process = subprocess.Popen([sys.executable, "-c", JOIN, "3", "abc"], env=place, stderr=subprocess.PIPE, text=True)
    ((code, error),) = finish([process])
    said = "of 2 ranks, " if alone == 0 else f"no answer of rank 0 at 127.0.0.1:{place['MASTER_PORT']} "
    assert code == 1 and f"All ranks must start within 3 seconds. Received: {said}" in error, error
    seconds = re.search(r"After (.+) s\.", error)
    assert seconds is not None and 3 <= float(seconds[1]) < 6, error  # torch alone would try for up to twice as long


def test_a_rank_waits_for_a_rank_0_that_starts_later() -> None:
    first, second = rank_environments(2)
    command = [sys.executable, "-c", JOIN, "60", "abc"]
    processes = [subprocess.Popen(command, env=second, stderr=subprocess.PIPE, text=True)]
    time.sleep(4)
    processes.append(subprocess.Popen(command, env=first, stderr=subprocess.PIPE, text=True))
    assert [code for code, _ in finish(processes)] == [0, 0]


def test_the_fingerprint_of_code_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "a.py").write_text("x = 1\n")
    (tmp_path / "notes.txt").write_text("1")
    first = code_fingerprint(tmp_path)
    (tmp_path / "notes.txt").write_text("2")
    assert code_fingerprint(tmp_path) == first
    (tmp_path / "package" / "a.py").write_text("x = 2\n")
    assert code_fingerprint(tmp_path) != first


@pytest.mark.parametrize("rank", ["0", "1"])
def test_several_ranks_without_torchrun_are_refused(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(RankError, match=r"must be started with torchrun \(.*MASTER_ADDR"):
        Ranks.join()
