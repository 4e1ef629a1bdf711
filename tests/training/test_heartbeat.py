"""Ranks that stop answering without closing their connections."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from launching import rank_environments

from translator.training import heartbeat

# The first collective operation waits for a rank that is stopped.
WAIT = """
import sys
import torch
from translator.training import heartbeat, parallel
heartbeat._BEAT_SECONDS = 0.2
heartbeat._LIMIT = 3.0
ranks = parallel.Ranks.join()
print("joined", flush=True)
if ranks.is_main:
    ranks.sum([torch.ones(1)])
else:
    sys.stdin.read()
"""


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
