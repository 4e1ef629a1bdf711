"""Training and decoding on the CPU beside other toolkits, each in an environment and processes of its own.

    python benchmarks/peers.py --environments ~/peer-environments
    python benchmarks/peers.py --environments DIR --peers translator eole --sizes tiny --rounds 1

Creates the environments that are missing, with the current release of each toolkit and the torch of this one. A toolkit
that cannot be installed, started or measured gets a row with the reason. All have the same shape, vocabulary size,
dropout, label smoothing, batches and threads; the random sentences have the lengths of Multi30k. Each toolkit,
precision and task has a process. Those of one precision take turns: each round asks all, every other one in reverse.

Training: forward and backward pass, clipping and the optimizer of the toolkit, on batches of sentences of similar
length; target tokens per second, padding not counted. Tensors are made before, except by toolkits that make them in
the loop. Decoding: weights are random, so all translations of a batch are forced to one length, the mean of the batch.
Peak memory: the largest resident size of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from baseline_models import save_for_ctranslate2
from decoding import batches_of, output_lengths
from measuring import Table
from peer_workers.environments import PEERS, CannotBeInstalledError, Peer, python_of
from peer_workers.process import FailedError, WorkerProcess, require_memory
from workload import LABEL_SMOOTHING, SHAPES, VOCAB_SIZE, Pair, Shape, groups_of_similar_length, sentence_pairs

from translator.config.decoding import PRECISIONS

LENGTHS = "multi30k"
DROPOUT = 0.1


@dataclass(frozen=True)
class Workload:
    """What is measured at one size.

    Attributes:
        batch_tokens: target tokens per training batch.
        steps: training steps per round.
        sentences: sentences decoded per round.
        batch: sentences decoded together.
        singles: sentences decoded one at a time per round.
    """

    batch_tokens: int
    steps: int
    sentences: int
    batch: int
    singles: int


WORKLOADS = {"tiny": Workload(4096, 2, 128, 64, 8), "base": Workload(1024, 1, 32, 32, 4)}
SMOKE_TEST = Workload(128, 1, 4, 2, 1)
SMOKE_SHAPE = Shape(16, 32, 1, 2)
Answers = dict[tuple[str, str], dict[str, list[dict[str, Any]]]]  # by toolkit and precision, then by request


class Benchmark:
    """Environments, data and the table of one run.

    Args:
        options: the command line.
        folder: temporary directory of data and converted models.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options, self._folder = options, folder
        self._environments: Path = options.environments.resolve()
        self._environments.mkdir(parents=True, exist_ok=True)
        self._torch = torch.__version__.partition("+")[0]
        facts = {
            "processor": _processor(),
            "threads": options.threads,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "load": round(os.getloadavg()[0], 1),
            "lengths": LENGTHS,
            "vocabulary": VOCAB_SIZE,
            "dropout": DROPOUT,
        }
        self.table = Table("peers", facts, options.json or self._environments / "peers.json")
        self._pythons: dict[str, Path] = {}
        for name in options.peers:
            try:
                self._pythons[name] = python_of(PEERS[name], self._environments, self._torch)
            except (CannotBeInstalledError, OSError) as error:
                self._fail({"toolkit": name}, error)

    def run(self, size: str) -> None:
        """Measure training, then decoding, at one size."""
        shape = SMOKE_SHAPE if self._options.smoke_test else SHAPES[size]
        workload = SMOKE_TEST if self._options.smoke_test else WORKLOADS[size]
        data = self._folder / f"{size}.json"
        beams = self._options.beam
        data.write_text(json.dumps(data_of(workload, beams)), encoding="utf-8")
        requests: dict[str, list[dict[str, Any]]] = {
            "training": [{"run": "training", "steps": workload.steps}],
            "decoding": [{"run": name} for name in search_names(beams)],
        }
        for task in self._options.tasks:
            found: Answers = {}
            for precision in self._options.precisions:
                row = {"size": size, "task": task, "precision": precision}
                found |= self._measure(row, shape, data, requests[task])
            print_summary(size, task, found)

    def _measure(self, group: dict[str, Any], shape: Shape, data: Path, requests: list[dict[str, Any]]) -> Answers:
        """Return all answers of the toolkits that have a precision. Their processes share the memory."""
        found: Answers = defaultdict(lambda: defaultdict(list))
        with ExitStack() as stack:
            processes = {}
            for name, python in self._pythons.items():
                peer, row = PEERS[name], {"toolkit": name, **group}
                if group["precision"] not in (peer.training if group["task"] == "training" else peer.decoding):
                    continue
                try:
                    process = self._start(peer, python, row, shape, data)
                except (FailedError, ImportError, OSError) as error:
                    self._fail(row, error)
                    continue
                stack.callback(process.close)
                processes[name] = process
                self._add(row | {"ready": process.facts["versions"], "parameters": process.facts["parameters"]})
            failed = set()  # not asked again
            for number in range(self._options.rounds):
                for name in list(processes) if number % 2 == 0 else reversed(list(processes)):
                    for request in requests:
                        if (name, request["run"]) in failed:
                            continue
                        row = {"toolkit": name, **group, **request, "round": number}
                        try:
                            answer = processes[name].ask(request)
                        except FailedError as error:
                            failed.add((name, request["run"]))
                            self._fail(row, error)
                            continue
                        found[name, group["precision"]][request["run"]].append(answer)
                        self._add(row | rates(answer))
        return found

    def _start(self, peer: Peer, python: Path, row: dict[str, Any], shape: Shape, data: Path) -> WorkerProcess:
        require_memory(self._options.memory)
        model = None
        if peer.module == "ctranslate2":
            model = str(self._folder / f"ctranslate2-{row['size']}")
            torch.manual_seed(1)  # the weights of this project's own model
            save_for_ctranslate2(shape, VOCAB_SIZE, Path(model))
        job = {
            "task": row["task"],
            "shape": asdict(shape),
            "vocab_size": VOCAB_SIZE,
            "precision": row["precision"],
            "threads": self._options.threads,
            "dropout": DROPOUT,
            "label_smoothing": LABEL_SMOOTHING,
            "data": str(data),
            "model": model,
        }
        log = self._environments / f"{peer.module}-{row['size']}-{row['task']}-{row['precision']}.log"
        return WorkerProcess(python, peer.module, job, self._options.threads, log, self._options.limit)

    def _add(self, row: dict[str, Any]) -> None:
        self.table.add([row])

    def _fail(self, row: dict[str, Any], error: Exception) -> None:
        self._add(row | {"not measured": str(error) or type(error).__name__})


def data_of(workload: Workload, beams: int) -> dict[str, Any]:
    """Return the batches of both tasks, as token ids without special tokens."""
    pairs = sentence_pairs(LENGTHS, 64 * workload.batch_tokens // 15, VOCAB_SIZE)
    groups = groups_of_similar_length(pairs, workload.batch_tokens)
    # Batches of short and of long sentences in turn.
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(2)).tolist()
    batches = batches_of(argparse.Namespace(lengths=LENGTHS, sentences=workload.sentences, batch=workload.batch))
    singles = batches_of(argparse.Namespace(lengths=LENGTHS, sentences=workload.singles, batch=1))
    names = search_names(beams)
    return {
        "training": [[plain(pair) for pair in groups[index]] for index in order[:8]],
        "searches": {
            name: {
                "beams": beams if "beam" in name else 1,
                "batches": [
                    {"sources": [ids[:-1].tolist() for ids in batch], "length": int(output_lengths(batch)[0]) + 1}
                    for batch in (singles if "one" in name else batches)
                ],
            }
            for name in names
        },
    }


def plain(pair: Pair) -> tuple[list[int], list[int]]:
    """Return a pair without BOS and EOS, as lists."""
    source, target = pair
    return source[:-1].tolist(), target[1:-1].tolist()


def search_names(beams: int) -> list[str]:
    """Return the names of the searches."""
    return ["greedy", f"beam {beams}", "one greedy", f"one beam {beams}"]


def rates(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a row."""
    counted = "sentences" if answer["sentences"] else "tokens"
    return {
        f"{counted}_per_second": answer[counted] / answer["seconds"],
        f"{counted}_per_cpu_second": answer[counted] / answer["cpu_seconds"],
        "tokens": answer["tokens"],
        "peak_mib": round(answer["peak_bytes"] / 2**20),
    }


def print_summary(size: str, task: str, found: Answers) -> None:
    """Print Markdown tables of medians, with the range in parentheses: in wall-clock time and in CPU time."""
    if not found:
        return
    runs = list(dict.fromkeys(run for answers in found.values() for run in answers))
    for clock, title in (("seconds", "wall clock"), ("cpu_seconds", "CPU time")):
        print(
            f"\n| {size}, {task}, {title} | " + " | ".join(f"{run}, {unit_of(run)}" for run in runs) + " | peak MiB |"
        )
        print("|---|" + "---|" * (len(runs) + 1))
        for (name, precision), answers in found.items():
            cells = [figure(answers[run], unit_of(run), clock) if answers[run] else "-" for run in runs]
            peak = max(answer["peak_bytes"] for each in answers.values() for answer in each)
            print(f"| {name}, {precision} | " + " | ".join(cells) + f" | {peak / 2**20:,.0f} |")
    print(flush=True)


def unit_of(run: str) -> str:
    """Return the unit in which the summary states a request."""
    if "one" in run:
        return "ms"
    return "tokens/s" if run == "training" else "sentences/s"


def figure(answers: list[dict[str, Any]], unit: str, clock: str) -> str:
    """Return the median and the range of a rate, or of the time per sentence."""
    if unit == "ms":
        values = [1000 * answer[clock] / answer["sentences"] for answer in answers]
    else:
        values = [answer[unit.partition("/")[0]] / answer[clock] for answer in answers]
    digits = 0 if min(values) >= 100 else 1
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--environments", type=Path, required=True, help="directory of the environments and logs")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--tasks", nargs="+", choices=("training", "decoding"), default=["training", "decoding"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beam", type=int, default=4)
    parser.add_argument("--limit", type=float, default=300, help="seconds that a toolkit may take for one answer")
    parser.add_argument("--memory", type=int, default=4096, help="MiB that must be available before a process starts")
    parser.add_argument("--json", type=Path, help="file of all rows (default: peers.json beside the environments)")
    parser.add_argument("--smoke-test", action="store_true", help="a model and batches of minimal size")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(options, Path(folder))
        for size in options.sizes:
            benchmark.run(size)


if __name__ == "__main__":
    main()
