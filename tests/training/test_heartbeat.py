"""Ranks that stop answering without closing their connections."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from launching import finish, rank_environments

from translator.training import heartbeat
from translator.training.heartbeat import Silence

# The first collective operation waits for a rank that is stopped.
WAIT = """
import sys
import torch
from translator.training import heartbeat, parallel
heartbeat._BEAT_SECONDS = heartbeat._TICK_SECONDS = 0.2
heartbeat._LIMIT = 3.0
ranks = parallel.Ranks.join()
print("joined", flush=True)
if ranks.is_main:
    ranks.sum([torch.ones(1)])
else:
    sys.stdin.read()
"""


@pytest.mark.parametrize("tick", [1.0, 3.0, 5.0, 20.0])
def test_a_silent_rank_is_lost_after_a_bounded_number_of_ticks_however_long_they_take(tick: float) -> None:
    silence, now = Silence(2, now=100.0), 100.0
    lost: list[int] = []
    while not lost:
        now += tick
        silence.note(0, now)
        lost = silence.tick(now)
    assert lost == [1]
    assert now - 100 <= max(heartbeat._LIMIT, heartbeat._MIN_TICKS * tick) + tick
    assert heartbeat._LIMIT + heartbeat._BEAT_SECONDS + 2 * heartbeat._TICK_SECONDS < 45
    assert heartbeat._MIN_TICKS * heartbeat._TICK_SECONDS < heartbeat._LIMIT


def test_a_process_that_was_stopped_waits_for_two_signs_before_another_is_lost() -> None:
    silence, now = Silence(1, now=0.0), 0.0
    for _ in range(4):
        now += 1
        assert not silence.tick(now)
    now += 3600  # stopped
    for _ in range(int(2 * heartbeat._BEAT_SECONDS)):
        assert not silence.tick(now)
        now += 1
    silence.note(0, now)
    assert not any(silence.tick(now + seconds) for seconds in range(int(heartbeat._LIMIT)))
    assert silence.tick(now + heartbeat._LIMIT + 1) == [0]


@pytest.mark.parametrize("silent", [0, 1])
def test_a_rank_that_is_stopped_ends_the_others_with_one_message(silent: int) -> None:
    assert heartbeat._LIMIT < 60
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WAIT],
            env=place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for place in rank_environments(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None and "joined" in process.stdout.readline()
        processes[silent].send_signal(signal.SIGSTOP)
        other = processes[1 - silent]
        started = time.monotonic()
        assert other.wait(timeout=60) == 2
        assert time.monotonic() - started > 2
        assert other.stderr is not None
        error = other.stderr.read()
        assert error.count("has not answered for 3 seconds: its process or machine is stopped") == 1, error
        assert "Traceback" not in error
    finally:
        for process in processes:
            process.kill()
            process.communicate()


# Rank 0 waits for a key that rank 1 sets late, as where a group of ranks is made. Both are alive.
WAIT_FOR_KEY = """
import time
from translator.training import heartbeat, parallel
heartbeat._BEAT_SECONDS = heartbeat._TICK_SECONDS = 0.2
heartbeat._LIMIT = 4.0
ranks = parallel.Ranks.join()
if ranks.is_main:
    assert ranks._store.get("late") == b"1"
else:
    time.sleep(8)
    ranks._store.set("late", "1")
with ranks.together():
    pass
ranks.leave()
"""


def test_a_rank_that_waits_for_a_key_of_the_store_is_alive() -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WAIT_FOR_KEY], env=place, stderr=subprocess.PIPE, text=True)
        for place in rank_environments(2)
    ]
    for code, error in finish(processes):
        assert code == 0, error
