from __future__ import annotations

import pytest

from translator.ranks import Rank, RankError

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
SLURM_NAMES = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SLURM_NAMES:
        monkeypatch.delenv(name, raising=False)


def test_a_process_without_torchrun_is_rank_0_of_1(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    assert Rank.of_environment() == Rank(rank=0, world_size=1, local_rank=0)


def test_the_place_of_a_process_is_what_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES, "6814", strict=True):
        monkeypatch.setenv(name, value)
    assert Rank.of_environment() == Rank(rank=6, world_size=8, local_rank=1, local_world_size=4)


@pytest.mark.parametrize(
    "values",
    [
        ("x", "2", "0", "1"),
        ("2", "2", "0", "1"),
        ("0", "0", "0", "1"),
        ("-1", "2", "0", "1"),
        ("0", "1", "", "1"),
        ("0", "1", "0", "0"),
        ("²", "3", "0", "1"),
    ],
)
def test_an_environment_that_names_no_rank_is_refused(
    monkeypatch: pytest.MonkeyPatch, values: tuple[str, str, str, str]
) -> None:
    for name, value in zip(NAMES, values, strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(RankError, match=rf"must be integers .* Received: RANK={values[0]}, WORLD_SIZE={values[1]}"):
        Rank.of_environment()


def test_the_place_of_a_task_of_srun_is_what_slurm_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in zip(SLURM_NAMES, "681", strict=True):
        monkeypatch.setenv(name, value)
    assert Rank.of_environment() == Rank(rank=6, world_size=8, local_rank=1)
    monkeypatch.setenv("SLURM_PROCID", "8")
    with pytest.raises(RankError, match=r"Received: SLURM_PROCID=8, .* Start several ranks with srun, or unset them."):
        Rank.of_environment()


def test_a_batch_script_of_slurm_is_rank_0_of_1(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SLURM_PROCID", "0"), ("SLURM_NTASKS", "8"), ("SLURM_LOCALID", "0")):
        monkeypatch.setenv(name, value)
    assert Rank.of_environment() == Rank(rank=0, world_size=1, local_rank=0)


def test_torchrun_within_a_task_of_srun_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip((*NAMES, *SLURM_NAMES), "1211021", strict=True):
        monkeypatch.setenv(name, value)
    assert Rank.of_environment() == Rank(rank=1, world_size=2, local_rank=1)
