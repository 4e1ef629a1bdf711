from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up import make_pairs, stream, take, write_text

from translator.data.corpus import Corpus
from translator.data.workers import Task, WorkerEndedError, WorkerError, WorkerPool
from translator.tokenizer import Tokenizers

Make = Callable[..., Corpus]


def test_workers_change_nothing_but_speed(make_corpus: Make) -> None:
    corpus = make_corpus(1200, alpha=0.2)  # some 38 batches an epoch
    whole = take(stream(corpus), 90)
    ahead = stream(corpus, workers=2)
    try:
        assert take(ahead, 50) == whole[:50]
        state = ahead.state_dict()
        assert take(ahead, 10) == whole[50:60]
        ahead.load_state_dict(state)  # what the workers had prepared further on is forgotten
        assert take(ahead, 40) == whole[50:]
        alone = stream(corpus)
        alone.load_state_dict(state)
        assert take(alone, 5) == whole[50:55]
    finally:
        ahead.close()


def test_a_dead_worker_is_a_clear_error_and_close_leaves_no_process(make_corpus: Make) -> None:
    batches = stream(make_corpus(3000, alpha=0.2), workers=1, batch_tokens=2048)
    assert batches._reader._pool
    (process,) = batches._reader._pool._processes
    next(batches)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(WorkerEndedError, match="worker 0 ended with exit code -9"):
        for _ in range(200):
            next(batches)
    batches.close()
    batches.close()
    assert not process.is_alive()


def test_an_exception_in_a_worker_reaches_the_parent(make_corpus: Make) -> None:
    pool = WorkerPool(make_corpus(50), (100, 100), 1)
    pool.submit(Task(0, np.array([10_000])))
    with pytest.raises(WorkerError, match="Data worker 0 failed: IndexError"):
        pool.result()
    pool.close()


SCRIPT = """
import signal, sys, time
from pathlib import Path

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a shell start with it ignored

    from translator.config import DataConfig
    from translator.data.corpus import load_corpus
    from translator.tokenizer import Tokenizers

    folder = Path(sys.argv[1])
    text = {"text": {"source": str(folder / "train.fr"), "target": str(folder / "train.en")}}
    data = DataConfig(source_language="fr", target_language="en", train=text, cache=str(folder / "cache"))
    tokenizers = Tokenizers.load(folder)
    corpus = load_corpus(data.train, data, tokenizers, sampling_alpha=0.2, seed=1, max_positions=99, log=lambda s: None)
    reader = corpus.read(1, (99, 99), 2)
    next(reader)
    print(*(process.pid for process in reader._pool._processes), flush=True)
    if sys.argv[2] == "wait":
        time.sleep(60)
    while sys.argv[2] == "work":
        next(reader)
"""


def test_workers_end_with_their_parent_however_it_ends(tmp_path: Path, tokenizers: Tokenizers) -> None:
    write_text(tmp_path, make_pairs(1500))
    tokenizers.save(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(ending: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), str(tmp_path), ending],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )

    cases = [("exit", 0), ("work", signal.SIGTERM), ("wait", signal.SIGKILL), ("work", signal.SIGINT)]
    for (_, number), process in [(case, start(case[0])) for case in cases]:
        assert process.stdout
        workers = [int(word) for word in process.stdout.readline().split()]
        assert len(workers) == 2
        if number == signal.SIGINT:
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: the whole group
        elif number:
            process.send_signal(number)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == -number
        assert "data worker" not in errors and errors.count("Traceback") == (number == signal.SIGINT)
        until = time.monotonic() + 10
        while any(is_running(worker) for worker in workers) and time.monotonic() < until:
            time.sleep(0.02)
        assert not any(is_running(worker) for worker in workers)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
