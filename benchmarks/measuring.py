"""Shared measurement code of the benchmarks: timing, the GPU's own limits, tables and their JSON.

Without a GPU the GPU benchmarks run on the CPU as a smoke test, at tiny sizes (`--rehearse`). The table then states
that its times are meaningless.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

HAS_GPU = torch.cuda.is_available()
DEVICE = "cuda" if HAS_GPU else "cpu"

Result = TypeVar("Result")


def wall_and_cpu_time(run: Callable[[], Result]) -> tuple[float, float, Result]:
    """Call `run` and return its wall-clock time and CPU time in seconds, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def parse_gpu_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Add the options of every GPU benchmark, parse the command line and require a GPU or `--rehearse`."""
    parser.add_argument("--rehearse", action="store_true", help="smoke test: tiny sizes, with or without a GPU")
    parser.add_argument("--json", type=Path, help="write the table to this file")
    options = parser.parse_args()
    if not (options.rehearse or HAS_GPU):
        parser.error("a CUDA device is required. Received: none. Use --rehearse for a smoke test without one.")
    return options


def median_time(run: Callable[[], object], repeats: int = 30, warm_up: int = 5) -> float:
    """Return the median time of a call in seconds, over `repeats` calls after `warm_up` calls; one call on the CPU."""
    if not HAS_GPU:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    for _ in range(warm_up):
        run()
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    for start_event, end_event in events:
        start_event.record()
        run()
        end_event.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in events) / 1000


def rotating(calls: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """Return a function that runs the next of `calls` each time, so that no input is still in the L2 cache."""
    number = -1

    def run() -> object:
        nonlocal number
        number = (number + 1) % len(calls)
        return calls[number]()

    return run


def as_graph(run: Callable[[], object]) -> Callable[[], object]:
    """Return the replay of `run` as a CUDA graph, which excludes the launch time of Python; on the CPU, `run`."""
    if not HAS_GPU:
        return run
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run()
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def card() -> dict[str, Any]:
    """Return the device, its software, and its measured rates of copying and of matrix products."""
    facts: dict[str, Any] = {
        "torch": torch.__version__,
        "triton": version("triton"),
        "python": platform.python_version(),
    }
    if not HAS_GPU:
        return {**facts, "device": "no GPU: a smoke test, times are meaningless"}
    source = torch.empty(2**29, dtype=torch.bfloat16, device=DEVICE)
    target = torch.empty_like(source)
    seconds = median_time(lambda: target.copy_(source))
    left, right = (torch.randn(8192, 8192, dtype=torch.bfloat16, device=DEVICE) for _ in range(2))
    product_seconds = median_time(lambda: left @ right)
    return {
        **facts,
        "device": torch.cuda.get_device_name(),
        "copy_bytes_s": 2 * source.nbytes / seconds,
        "flop_s": 2 * 8192**3 / product_seconds,
    }


def fraction_of_limit(work: float, seconds: float, rate: float | None) -> float | None:
    """Return the rate `work / seconds` as a fraction of the limit `rate`; None if the limit is unknown."""
    return work / seconds / rate if rate else None


def failure(error: Exception) -> dict[str, str]:
    """Return the cell for an implementation of this project that failed; the others are measured all the same."""
    return {"failed": f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0][:200]}"}


class Table:
    """Rows that are printed and written as soon as they are measured, so that a time limit loses none.

    Args:
        title: name of the table.
        facts: device and software; see `card`.
        path: JSON file, rewritten after each row; None writes no file.
    """

    def __init__(self, title: str, facts: dict[str, Any], path: Path | None) -> None:
        self.title, self.facts, self._path = title, facts, path
        self.rows: list[dict[str, Any]] = []
        print(f"# {title}: {_pairs(facts)}", flush=True)
        self._write()

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows; an iterator measures each while it is read."""
        for row in rows:
            self.rows.append(row)
            print(_pairs(row), flush=True)
            self._write()

    def finish(self) -> None:
        """Raise SystemExit if a row contains a failure."""
        if any("failed" in row for row in self.rows):
            raise SystemExit(1)

    def _write(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"title": self.title, "facts": self.facts, "rows": self.rows}, indent=1)
        temporary = self._path.with_suffix(".partial")
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(self._path)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_cell(value)}" for key, value in values.items())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    parsed = parse_gpu_options(argparse.ArgumentParser(description="Print the device and its measured rates."))
    Table("card", card(), parsed.json)
