from __future__ import annotations

import argparse
import gzip
import io
import itertools
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from translator.checkpoint import locate_weights
from translator.cli import lines, main, splitting
from translator.cli.filtering import run_filter
from translator.cli.lines import LineError, write_line
from translator.cli.parts import PartError
from translator.cli.splitting import Position, choose_rank_device, read_range, window_range
from translator.ranks import Rank

FAST = ["--max-length-factor", "0.2", "--beam-size", "1", "--threads", "1", "--device", "cpu"]
TEXTS = [
    b"",
    b"\n",
    b"\n\n\n",
    b"one line without an end",
    b"a\nb\n",
    b"\xef\xbb\xbfmarked\nb\nc",
    b"x" * 5000 + b"\ny\n",
    b"y\n" + b"x" * 5000,
    b"windows\r\nb\r\n\r\n",
    b"caf\xe9\n%PDF-1.7\n\x1f\x8b\x08\n",
    "\n".join(f"line {number}" for number in range(500)).encode(),
]


@dataclass
class Upper:
    """A result of the function that stands for a model."""

    text: str
    flags: tuple[str, ...] = ()


def upper(texts: Sequence[str]) -> list[Upper]:
    return [Upper(text.upper(), ("empty",) if not text else ()) for text in texts]


def write(output: Any, number: int, result: Upper) -> None:
    write_line(output, f"{number} {result.text}")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Counter[str]]:
    """Run a filter that writes numbered lines in capitals, as one rank."""
    monkeypatch.setattr(splitting, "_digest", lambda model: str(model))

    def run_rank(rank: int, world_size: int, process: Any = upper, **changes: Any) -> Counter[str]:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world_size))
        given = {"model": "m", "input": str(tmp_path / "in"), "output": str(tmp_path / "out"), "sentences": []}
        given |= {"quiet": True, "device": "cpu", "num_hypotheses": 1} | changes
        return run_filter(argparse.Namespace(**given), lambda: process, write, {"empty": "{} had no text."})

    return run_rank


@pytest.mark.parametrize("data", TEXTS)
@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_ranks_give_the_output_of_one_process(
    data: bytes, world_size: int, run: Callable[..., Counter[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "WINDOW_LINES", 7)
    (tmp_path / "in").write_bytes(data)
    run(0, 1, output=str(tmp_path / "one"))
    for rank in random.Random(len(data)).sample(range(world_size), world_size):
        assert not (tmp_path / "out").exists()
        run(rank, world_size)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "one").read_bytes()


def test_ranges_end_at_the_nearest_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").write_text("".join(f"{number}\n" for number in range(30_000)))  # later lines are longer
    for block_size in (splitting._BLOCK_SIZE, 700):
        monkeypatch.setattr(splitting, "_BLOCK_SIZE", block_size)
        with (tmp_path / "in").open("rb") as source:
            stops = [window_range(source, Rank(rank, 3, 0))[1] for rank in range(3)]
        assert [stop.line for stop in stops] == [11_000, 21_000, 30_000]
    monkeypatch.undo()
    (tmp_path / "in").write_text("x\n" * 2100 + "without an end" * 1000)
    with (tmp_path / "in").open("rb") as source:
        assert window_range(source, Rank(0, 2, 0)) == (Position(0, 0), Position(4000, 2000))


@pytest.mark.parametrize("data", TEXTS)
def test_ranges_of_windows_cover_the_file_once(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "WINDOW_LINES", 3)
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as source:
        ranges = [window_range(source, Rank(rank, 5, 0)) for rank in range(5)]
    assert ranges[0][0] == Position(3 if data.startswith(b"\xef\xbb\xbf") else 0, 0)
    assert ranges[-1][1].offset == len(data)
    for (_, stop), (start, _) in itertools.pairwise(ranges):
        assert stop == start
        if start.offset < len(data):
            assert start.offset in (0, 3) or data[: start.offset].endswith(b"\n")
            assert start.line % 3 == 0 and start.line == data[: start.offset].count(b"\n")


def test_a_rank_resumes_at_its_last_record(
    run: Callable[..., Counter[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(splitting, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(lines, "WINDOW_LINES", 10)
    (tmp_path / "in").write_text("".join(f"line {number}\n\n" for number in range(100)))
    run(0, 1, output=str(tmp_path / "one"))
    seen: list[str] = []

    def stopping(texts: Sequence[str]) -> list[Upper]:
        if "line 80" in texts:
            raise KeyboardInterrupt
        return upper(texts)

    def recording(texts: Sequence[str]) -> list[Upper]:
        seen.extend(texts)
        return upper(texts)

    with pytest.raises(KeyboardInterrupt):
        run(1, 2, stopping)
    run(0, 2)
    run(1, 2, recording, quiet=False)
    assert "line 80" in seen and "line 60" not in seen
    assert (tmp_path / "out").read_bytes() == (tmp_path / "one").read_bytes()
    said = capsys.readouterr().err
    assert "translator: rank 1 of 2: resuming at byte " in said
    assert "translator: 100 lines had no text." in said  # of both ranks
    run(0, 2, stopping, quiet=False)
    assert f"rank 0 of 2: {tmp_path / 'out'} is complete; delete it to start again" in capsys.readouterr().err


def test_ranks_with_another_option_or_input_are_refused(run: Callable[..., Counter[str]], tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a\nb\n")
    run(0, 2)
    with pytest.raises(PartError, match=r'options: \{"num_hypotheses": 1\} -> \{"num_hypotheses": 2\}'):
        run(1, 2, num_hypotheses=2)
    with pytest.raises(PartError, match=r"model: m -> other"):
        run(1, 2, model="other")
    with pytest.raises(PartError, match=r"ranks: 2 -> 3"):
        run(1, 3)
    (tmp_path / "in").write_text("a\nb\nc\n")
    with pytest.raises(PartError, match=r"input: 4 bytes, modified at \d+ ns -> 6 bytes"):
        run(1, 2)


def test_the_job_of_a_rank_is_that_of_the_files_of_its_models(
    run: Callable[..., int], model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_text("a\nb\n")
    run(0, 2, ensemble=["first"])
    with pytest.raises(PartError, match="model: m first -> m second"):
        run(1, 2, ensemble=["second"])
    monkeypatch.undo()
    model = tmp_path / "model"
    shutil.copytree(model_directory, model, symlinks=True)
    folder, weights = locate_weights(model)
    digests = [splitting._digest(str(model_directory))]
    for file in (weights, next(folder.glob("*.model")), folder / "config.yaml"):
        assert splitting._digest(str(model)) == digests[-1]
        file.write_bytes(file.read_bytes() + b"\n")
        digests.append(splitting._digest(str(model)))
    assert len(set(digests)) == 4


@pytest.mark.parametrize("change", ["grows", "shrinks", "is rewritten"])
def test_an_input_that_changes_meanwhile_is_refused(
    change: str, run: Callable[..., Counter[str]], tmp_path: Path
) -> None:
    path = tmp_path / "in"
    path.write_text("abc\n" * 20_000)

    def changing(texts: Sequence[str]) -> list[Upper]:
        if change == "grows":
            with path.open("a") as file:
                file.write("more\n")
        elif change == "is rewritten":
            path.write_text("ABC\n" * 20_000)
        else:
            os.truncate(path, 10)
        return upper(texts)

    with pytest.raises(
        LineError, match=r"The input must not change while it is read. Received: .*in, (changed|cut off)"
    ):
        run(1, 2, changing)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": None}, "Several ranks cannot share standard input. Give --input."),
        ({"output": None}, "Several ranks cannot share standard output. Give --output."),
        ({"sentences": ["a"]}, "process the lines of a file. Received: sentences as arguments. Start one process."),
        ({"document": True}, "process the lines of a file. Received: --document. Start one process."),
        ({"input": "/dev/null"}, "require that --input is a regular file. Received: /dev/null."),
        ({"input": "pipe"}, "require that --input is a regular file. Received: pipe."),
        ({"input": "in.gz"}, "plain UTF-8, which can be split. Received: in.gz, UTF-8, gzip. Decompress"),
        ({"input": "utf16"}, "plain UTF-8, which can be split. Received: utf16, UTF-16. Decompress or convert it"),
        ({"input": "binary"}, "must be readable text. Received: binary data or UTF-16"),
        ({"output": "in"}, "--output must not be the file that is read. Received: in."),
        ({"output": "/dev/null"}, "Several ranks require that --output is a file. Received: /dev/null."),
        ({"input": "missing"}, "An input must be a readable file. Received: missing (No such file or directory)."),
    ],
)
def test_what_cannot_be_split_is_refused_by_name(
    changes: dict[str, Any],
    message: str,
    run: Callable[..., Counter[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text("a\n")
    (tmp_path / "in.gz").write_bytes(gzip.compress(b"a\n"))
    (tmp_path / "utf16").write_text("a\n", encoding="utf-16")
    (tmp_path / "binary").write_bytes(bytes(100))
    os.mkfifo(tmp_path / "pipe")
    keeper = os.open("pipe", os.O_RDWR)  # opening a pipe without a writer would block
    with pytest.raises(ValueError, match=message.replace(".", r"\.").replace("(", r"\(").replace(")", r"\)")):
        run(1, 2, **changes)
    os.close(keeper)
    assert not (tmp_path / "out.parts").exists()


def test_documents_are_refused_by_the_command(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_text("a\n")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    files = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert main(["translate", str(model_directory), "--document", *files]) == 2
    assert "Received: --document. Start one process." in capsys.readouterr().err


def test_a_range_that_the_file_does_not_have_is_refused() -> None:
    source = io.BytesIO(b"a\nb\n")
    source.name = "in"  # type: ignore[attr-defined]
    with pytest.raises(LineError, match=r"must not change while it is read. Received: in, cut off."):
        list(read_range(source, 2, 10))


def test_each_rank_of_a_machine_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def device(count: int, local_rank: int, given: str = "auto") -> str:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        arguments = argparse.Namespace(device=given)
        choose_rank_device(arguments, Rank(5, 8, local_rank))
        return str(arguments.device)

    assert [device(0, 1), device(4, 1), device(1, 3)] == ["cpu", "cuda:1", "cuda:0"]
    assert device(4, 1, "cuda:2") == "cuda:2"


# Saves after each window of 20 lines, so that a kill comes between two records.
PROGRAM = """
import sys
from translator.cli import lines, main, splitting
splitting.SAVE_SECONDS, lines.WINDOW_LINES = 0.0, 20
sys.exit(main())
"""


@pytest.mark.timeout(300)
def test_ranks_killed_at_any_time_resume_to_the_output_of_one_process(model_directory: Path, tmp_path: Path) -> None:
    words = random.Random(1)
    texts = [" ".join(words.choices(["oui", "non", "la gare", "Où est", "", "?"], k=4)).strip() for _ in range(600)]
    (tmp_path / "in.fr").write_text("\n".join(texts), encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, "translate", str(model_directory), *FAST, "--n-best", "1"]
    command += ["--input", str(tmp_path / "in.fr"), "--output"]
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    subprocess.run([*command, str(tmp_path / "one.en")], check=True, capture_output=True, env=environment)

    def start(rank: int) -> subprocess.Popen[bytes]:
        place = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
        return subprocess.Popen([*command, str(tmp_path / "out.en")], env=environment | place, stderr=subprocess.PIPE)

    record = tmp_path / "out.en.parts" / "00001.json"
    resumed = 0
    for _ in range(3):
        killed = start(1)
        before = record.read_bytes() if record.exists() else b""
        while (record.read_bytes() if record.exists() else b"") == before and killed.poll() is None:
            time.sleep(0.001)
        killed.kill()
        resumed += b"resuming at byte" in killed.communicate()[1]
    both = [start(0), start(1)]
    said = [process.communicate(timeout=200)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert resumed and b"resuming at byte" in said[1]
    assert (tmp_path / "out.en").read_bytes() == (tmp_path / "one.en").read_bytes()
    assert not (tmp_path / "out.en.parts").exists()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_last_rank_says_what_the_guard_did_in_all(
    order: tuple[int, int],
    model_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(lines, "WINDOW_LINES", 3)
    (tmp_path / "in").write_text("Il a 85 chats.\nÉcris à a@b.fr !\noui\n" * 4, encoding="utf-8")
    options = [*FAST, "--guard", "--no-protect", "--input", str(tmp_path / "in"), "--output"]
    assert main(["translate", str(model_directory), *options, str(tmp_path / "one")]) == 0
    [expected] = [line for line in capsys.readouterr().err.splitlines() if "The guard" in line]
    assert " of 12 lines " in expected and "emails 4" in expected
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in order:
        assert "The guard" not in capsys.readouterr().err
        monkeypatch.setenv("RANK", str(rank))
        assert main(["translate", str(model_directory), *options, str(tmp_path / "out")]) == 0
    assert expected in capsys.readouterr().err.splitlines()


@pytest.mark.timeout(300)
def test_torchrun_starts_the_ranks(model_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "in.fr").write_text("Où est la gare ?\n\noui\nnon\n" * 5, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    files = ["--input", str(tmp_path / "in.fr"), "--output"]
    translate = ["-m", "translator", "translate", str(model_directory), *FAST, *files]
    subprocess.run([sys.executable, *translate, str(tmp_path / "one.en")], check=True, env=environment)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*torchrun, *translate, str(tmp_path / "out.en")], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.en").read_bytes() == (tmp_path / "one.en").read_bytes()
