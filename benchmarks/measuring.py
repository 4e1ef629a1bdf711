"""What the GPU benchmarks share: times by events, the card's own rates, a table and its JSON.

Without a GPU everything runs on the CPU, at sizes that its caller makes tiny, so that a script can be rehearsed; such
times mean nothing, and the table says so.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

HAS_GPU = torch.cuda.is_available()
DEVICE = "cuda" if HAS_GPU else "cpu"


def median_time(run: Callable[[], object], repeats: int = 30, warm_up: int = 5) -> float:
    """Seconds that one call takes, the median of `repeats` after `warm_up` calls."""
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
    """A call that takes the next of `calls` each time: enough inputs in turn that none is still in the L2 cache."""
    number = -1

    def run() -> object:
        nonlocal number
        number = (number + 1) % len(calls)
        return calls[number]()

    return run


def as_graph(run: Callable[[], object]) -> Callable[[], object]:
    """The same work replayed as a CUDA graph, without the time that Python takes to launch it; as it is on the CPU."""
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
    """The machine, its software, and what it reaches at copying and multiplying."""
    facts: dict[str, Any] = {
        "torch": torch.__version__,
        "triton": version("triton"),
        "python": platform.python_version(),
    }
    if not HAS_GPU:
        return {**facts, "device": "no GPU: a rehearsal, whose times mean nothing"}
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


def share(work: float, seconds: float, rate: float | None) -> float | None:
    """Which part of `rate` it is to do `work` in `seconds`; None where the rate is not known."""
    return work / seconds / rate if rate else None


def failure(error: Exception) -> dict[str, str]:
    """What a row says of a contestant of ours that failed: the others are measured all the same."""
    return {"failed": f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0][:200]}"}


def report(title: str, facts: dict[str, Any], rows: Sequence[dict[str, Any]], path: Path | None) -> None:
    """Print a table, a column for each key of `rows`, and write it with the facts as JSON where a path is given.

    Raises:
        SystemExit: a row holds a failure.
    """
    print(f"# {title}: " + ", ".join(f"{key} {_cell(value)}" for key, value in facts.items()))
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [keys, *([_cell(row.get(key)) for key in keys] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(keys))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"title": title, "facts": facts, "rows": list(rows)}, indent=1), encoding="utf-8")
    if any("failed" in row for row in rows):
        raise SystemExit(1)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
