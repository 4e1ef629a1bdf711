"""Communication between ranks, with real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import pytest
import torch
import torch.distributed as dist
from launching import environment, finish, rank_environments

from translator.errors import UserError
from translator.training import parallel
from translator.training.parallel import Ranks, scale_and_clip

# Run by each of two ranks; every property is asserted in both processes.
TWO_RANKS = """
import pathlib
import torch
from translator.errors import UserError
from translator.ranks import RankError
from translator.training.parallel import Ranks

ranks = Ranks.join()
mine = ranks.rank
calls = []

def work():
    calls.append(mine)
    return {"tensor": torch.arange(3), "text": "été"}

found = ranks.on_main(work)
assert found["tensor"].tolist() == [0, 1, 2] and found["text"] == "été"
assert calls == [0] * (mine == 0)

def fail():
    raise UserError("the disk is full")

try:
    ranks.on_main(fail)
    raise AssertionError("nothing was raised")
except UserError as error:
    assert str(error) == ("the disk is full" if mine == 0 else "rank 0 stopped: the disk is full")

def fill():
    raise OSError(28, "No space left on device", "a file")

try:
    ranks.on_main(fill)
    raise AssertionError("nothing was raised")
except (OSError, UserError) as error:
    reason = "[Errno 28] No space left on device: 'a file'"
    assert str(error) == (reason if mine == 0 else f"rank 0 stopped: {reason}")

try:
    with ranks.together():
        if mine == 1:
            raise UserError("no such file")
    raise AssertionError("nothing was raised")
except UserError as error:
    assert str(error) == ("no such file" if mine == 1 else "rank 1 stopped: no such file")
    assert isinstance(error, RankError) == (mine == 0)

tensors = [torch.full((2, 3), float(10 * mine)), torch.tensor(1.0 + mine)]
ranks.sum(tensors)
assert (tensors[0] == 10).all() and tensors[1] == 3

assert ranks.exchange(("item", mine)) == [("item", 0), ("item", 1)]

def damaged():
    if mine == 1:
        raise kind("a damaged file")
    return mine

for kind in (UserError, OSError):
    try:
        ranks.exchange_results(damaged)
        raise AssertionError("nothing was raised")
    except (UserError, OSError) as error:
        assert str(error) == ("a damaged file" if mine == 1 else "rank 1 stopped: a damaged file")
assert ranks.exchange_results(lambda: mine) == [0, 1]

here = pathlib.Path("shared").resolve()
here.mkdir(exist_ok=True)
assert ranks.share(here)
assert not ranks.share(here if mine == 0 else here / "other")
assert mine == 1 or list(here.iterdir()) == []

torch.manual_seed(mine)
model = torch.nn.Linear(3, 2)
ranks.replicate(model)
torch.manual_seed(0)
expected = torch.nn.Linear(3, 2)
assert torch.equal(model.weight, expected.weight) and torch.equal(model.bias, expected.bias)
ranks.leave()
print(f"done {mine}\\n", end="", flush=True)  # one write, so that lines of two ranks do not mix
"""


def test_ranks_share_what_rank_0_has_and_fail_together(tmp_path: Path) -> None:
    (tmp_path / "ranks.py").write_text(TWO_RANKS, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", "ranks.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["0", "1", "done", "done"]


# Rank 0, which holds the store, fails and ends while rank 1 looks into the store once a second only.
FAIL = """
import sys, time, types
from translator.errors import UserError
from translator.training import parallel

ranks = parallel.Ranks.join()
if ranks.rank == 1:
    parallel.time = types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(1))
try:
    with ranks.together():
        if ranks.rank == 0:
            while not ranks._store.check([f"{ranks._meetings + 1}/1"]):
                time.sleep(0.01)
            time.sleep(0.2)
            raise UserError("the disk is full")
except UserError as error:
    sys.exit(str(error))
"""


def test_rank_0_stays_until_a_slow_rank_has_read_why_it_failed() -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", FAIL], env=place, stderr=subprocess.PIPE, text=True)
        for place in rank_environments(2)
    ]
    (_, first), (_, second) = finish(processes)
    assert first.strip() == "the disk is full"
    assert second.strip() == "rank 0 stopped: the disk is full"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            "[/source/gloo/pair.cc:537] Read error [127.0.0.1]:22193: Connection reset by peer",
            "Another rank ended (Read error [127.0.0.1]:22193: Connection reset by peer). ",
        ),
        (
            "[/source/gloo/buffer.cc:84] Timed out waiting 900000ms for recv operation to complete",
            "Another rank did not answer for 15 minutes (Timed out waiting 900000ms for recv operation to complete). ",
        ),
        (
            "Connection closed by peer. This is typically a fault.\nC++ stack",
            "ended (Connection closed by peer). Its own",
        ),
    ],
)
def test_a_lost_rank_is_reported_with_what_happened_to_it(reason: str, said: str) -> None:
    with pytest.raises(parallel.RankError) as caught, parallel.communication():
        raise RuntimeError(reason)
    assert said in str(caught.value)
    assert str(caught.value).endswith("The same command resumes the run.")


def meet(faults: Sequence[Exception | None], arriving: Sequence[int]) -> dict[int, Exception | None]:
    """Let some ranks, as threads, leave a block of `together`, some by an error; return what each raised."""
    store, found = dist.HashStore(), dict[int, Exception | None]()

    def leave(rank: int) -> None:
        found[rank] = None
        try:
            with Ranks(rank, len(faults), torch.device("cpu"), store).together():
                if (fault := faults[rank]) is not None:
                    raise fault
        except Exception as error:
            found[rank] = error

    threads = [Thread(target=leave, args=(rank,), daemon=True) for rank in arriving]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    return found


@pytest.mark.parametrize("failed", [0, 1])
def test_ranks_do_not_wait_for_a_busy_one_if_another_fails(failed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_READ_TIMEOUT", 0.5)
    faults = [UserError("no such file") if rank == failed else None for rank in range(3)]
    found = meet(faults, arriving=[0, 1])  # rank 2 is still busy
    assert found[failed] is faults[failed]
    other = found[1 - failed]
    assert isinstance(other, parallel.RankError) and str(other) == f"rank {failed} stopped: no such file"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError(28, "No space left on device", "a file"), "[Errno 28] No space left on device: 'a file'"),
        (MemoryError(), "Out of memory."),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "Out of memory."),
        (KeyError("internal"), "KeyError: 'internal'"),
    ],
)
def test_an_error_of_any_class_ends_the_other_ranks_with_its_reason(fault: Exception, said: str) -> None:
    found = meet([None, fault], arriving=[0, 1])
    assert found[1] is fault
    assert isinstance(found[0], parallel.RankError) and str(found[0]) == f"rank 1 stopped: {said}"


def test_a_lost_rank_is_not_waited_for() -> None:
    fault = parallel.lost_rank(RuntimeError("Connection closed by peer"))
    assert meet([fault, None], arriving=[0]) == {0: fault}


def test_one_rank_does_everything_itself() -> None:
    ranks = Ranks(0, 1, torch.device("cpu"))
    tensor = torch.ones(2)
    ranks.sum([tensor])
    with ranks.together():
        assert ranks.on_main(lambda: "result") == "result"
    ranks.leave()
    assert ranks.is_main and tensor.tolist() == [1, 1]
    with pytest.raises(ZeroDivisionError):
        ranks.on_main(lambda: 1 / 0)


def test_gradients_are_scaled_and_their_joint_norm_is_clipped() -> None:
    gradients = [torch.full((3,), 4.0), torch.full((4,), 2.0)]  # norm 8
    norm = scale_and_clip(gradients, torch.tensor(0.5), clip_norm=1.0)
    assert float(norm) == pytest.approx(4.0)
    assert float(torch.nn.utils.get_total_norm(gradients)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("clip_norm", [0.0, 100.0])
def test_gradients_within_the_bound_are_only_scaled(clip_norm: float) -> None:
    gradients = [torch.full((3,), 4.0)]
    scale_and_clip(gradients, torch.tensor(0.5), clip_norm)
    assert gradients[0].tolist() == [2.0, 2.0, 2.0]
