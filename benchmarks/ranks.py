"""Throughput of `translator translate` by number of processes on one machine, and the efficiency of several.

    python benchmarks/ranks.py --lines 4000 --processes 1 2 --repetitions 3

Translates sentences of the phrasebook's test set with `MODEL` on the CPU, one thread per process. One process is plain
`translator translate`; several are started like the ranks of torchrun, and join their parts. Settings are interleaved,
and medians are printed. Start-up is the time of the same command for a file of one line, and is left out of the other
columns. Efficiency is the throughput over that of one process times the number of processes. Outputs are compared.

Wall-clock time means little where other programs use the cores. CPU seconds are of the process that took most: with one
thread on a free core, they are its wall-clock time, and efficiency is computed from them, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = ("processes", "start-up s", "lines/s", "efficiency", "lines/CPU s of the slowest", "efficiency (CPU)")


def main() -> None:
    """Measure and print one row per number of processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="fr-en")
    parser.add_argument("--lines", type=int, default=4000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    seconds: dict[tuple[int, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sentences = phrasebook_sentences()
        texts = [sentences[number % len(sentences)] + f" {number}" for number in range(arguments.lines)]  # no repeats
        (folder / "big.fr").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        (folder / "one.fr").write_text(f"{texts[0]}\n", encoding="utf-8")
        for _ in range(arguments.repetitions):
            for processes in arguments.processes:
                for file in ("one", "big"):
                    found = translate(arguments.model, folder / f"{file}.fr", folder / f"{file}.{processes}", processes)
                    seconds.setdefault((processes, file), []).append(found)
        outputs = {(folder / f"big.{processes}").read_bytes() for processes in arguments.processes}
    print(f"outputs are {'identical' if len(outputs) == 1 else 'DIFFERENT'}")
    print("  ".join(COLUMNS))
    base: list[float] = []
    for processes in arguments.processes:
        start_up, total = (
            [statistics.median(column) for column in zip(*seconds[processes, file], strict=True)]
            for file in ("one", "big")
        )
        speeds = [arguments.lines / (whole - start) for whole, start in zip(total, start_up, strict=True)]
        base = base or [speed / processes for speed in speeds]
        row = [str(processes), f"{start_up[0]:.1f}"]
        for speed, one in zip(speeds, base, strict=True):
            row += [f"{speed:.0f}", f"{speed / (one * processes):.0%}"]
        print("  ".join(cell.rjust(len(column)) for cell, column in zip(row, COLUMNS, strict=True)))


def phrasebook_sentences() -> list[str]:
    """Return the French sentences of the phrasebook's test set."""
    from translator.config import DataConfig, Source
    from translator.data.sources import read_rows

    source = Source(phrasebook="test")
    data = DataConfig(source_language="fr", target_language="en", train=(source,))
    return [row[0] for row in read_rows((source,), data)]


def translate(model: str, source: Path, output: Path, processes: int) -> tuple[float, float]:
    """Translate a file; return the seconds it took, and the CPU seconds of the process that took most."""
    output.with_name(f"{output.name}.parts.json").unlink(missing_ok=True)  # else the output is complete already
    command = [sys.executable, "-m", "translator", "translate", model, "--device", "cpu", "--threads", "1", "--quiet"]
    command += ["--input", str(source), "--output", str(output)]
    begin = time.perf_counter()
    running = [subprocess.Popen(command, env=environment(rank, processes)) for rank in range(processes)]
    used = []
    for process in running:
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"A process failed with status {status}.")
        used.append(usage.ru_utime + usage.ru_stime)
    return time.perf_counter() - begin, max(used)


def environment(rank: int, processes: int) -> dict[str, str]:
    """Return the environment of a rank."""
    place = {"RANK": str(rank), "WORLD_SIZE": str(processes), "LOCAL_RANK": str(rank)}
    return {**os.environ, "OMP_NUM_THREADS": "1", **place}


if __name__ == "__main__":
    main()
