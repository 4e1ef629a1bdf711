"""The process of one toolkit, which benchmarks/peers.py starts and asks."""

from __future__ import annotations

import json
import os
import re
import selectors
import subprocess
from pathlib import Path
from typing import IO, Any

BENCHMARKS = Path(__file__).resolve().parents[1]


class FailedError(Exception):
    """A toolkit could not be measured; the message is the reason."""


class WorkerProcess:
    """A process that has prepared one job and waits for requests.

    Args:
        python: interpreter of its environment.
        module: module of `peer_workers`.
        job: the job, as JSON.
        threads: CPU threads of its libraries.
        log: file of what it prints.
        limit: seconds that an answer may take.

    Raises:
        FailedError: if it cannot be prepared.
    """

    def __init__(self, python: Path, module: str, job: dict[str, Any], threads: int, log: Path, limit: float) -> None:
        self._log, self._limit = log, limit
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        # As the `translator` command does: idle threads sleep after a few microseconds.
        environment = os.environ | {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "300"}
        environment |= {name: str(threads) for name in names}
        environment["PYTHONPATH"] = str(BENCHMARKS.parent)
        with log.open("w", encoding="utf-8") as output:
            self._process = subprocess.Popen(
                [python, "-m", f"peer_workers.{module}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env=environment,
                cwd=BENCHMARKS,
            )
        try:
            self.facts = self.ask(job)
        except FailedError:
            self.close()
            raise

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            FailedError: if the request failed, the process has ended, or the answer takes too long.
        """
        try:
            _open(self._process.stdin).write(json.dumps(request) + "\n")
            _open(self._process.stdin).flush()
        except BrokenPipeError:
            raise FailedError(self._last_words()) from None
        answers = _open(self._process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(answers, selectors.EVENT_READ)
            if not selector.select(self._limit):
                self._process.kill()
                raise FailedError(f"no answer within {self._limit:g} s")
        line = answers.readline()
        if not line:
            raise FailedError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise FailedError(answer["failed"])
        return answer

    def close(self) -> None:
        """End the process."""
        _open(self._process.stdin).close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _open(self._process.stdout).close()

    def _last_words(self) -> str:
        self._process.wait()
        lines = [line.strip() for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines()]
        return f"the process ended with {self._process.returncode}: {next(filter(None, reversed(lines)), '')[:300]}"


def require_memory(mebibytes: int) -> None:
    """Raise FailedError if less memory is available, before the system ends processes."""
    information = Path("/proc/meminfo")
    if not information.exists():
        return
    found = re.search(r"MemAvailable: *(\d+) kB", information.read_text(encoding="utf-8"))
    if found is not None and int(found[1]) >> 10 < mebibytes:
        raise FailedError(f"{mebibytes} MiB of available memory are required. Received: {int(found[1]) >> 10} MiB.")


def _open(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # Popen made a pipe
    return stream
