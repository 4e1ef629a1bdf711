"""Protocol between benchmarks/peers.py and the process of one toolkit: JSON, one object per line.

Standard library only, since every toolkit has an environment of its own. The first line on stdin is the job. Each
further line asks for one measurement: `{"run": "training", "steps": 2}`, or `{"run": NAME}` for a search. Each line is
answered by one line on stdout, with the reason if it failed; what the toolkit prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import Any

PAD, BOS, EOS = 1, 2, 3  # ids of toolkits whose special tokens can be chosen; 0 is the unknown token
FIRST_TOKEN = 4  # ids of the sentences are at least this


@dataclass(frozen=True)
class Shape:
    """Size of the encoder-decoder; `layers` and `heads` are those of each stack."""

    d_model: int
    d_ff: int
    layers: int
    heads: int


@dataclass(frozen=True)
class Job:
    """What one process measures.

    Attributes:
        task: training or decoding.
        shape: size of the model.
        vocab_size: size of the vocabulary, special tokens included.
        precision: float32, bfloat16 or int8.
        threads: CPU threads.
        dropout: dropout rate, everywhere that the toolkit has dropout.
        label_smoothing: label smoothing.
        training: batches of pairs of token ids without special tokens, of similar length; empty when decoding.
        searches: by name, the beam size, and batches of sentences, each with the length of its translations.
        model: directory of a converted model, for a toolkit that only decodes.
    """

    task: str
    shape: Shape
    vocab_size: int
    precision: str
    threads: int
    dropout: float
    label_smoothing: float
    training: list[list[tuple[list[int], list[int]]]]
    searches: dict[str, Search]
    model: str | None


@dataclass(frozen=True)
class DecodingBatch:
    """Sentences that are decoded together.

    Attributes:
        sources: token ids without special tokens.
        length: number of decoding steps, and of tokens of every translation, EOS included if the toolkit counts it.
    """

    sources: list[list[int]]
    length: int


@dataclass(frozen=True)
class Search:
    """Batches, and the number of beams; 1 is greedy search."""

    beams: int
    batches: list[DecodingBatch]


@dataclass(frozen=True)
class Elapsed:
    """Wall-clock time and CPU time in seconds."""

    wall: float
    cpu: float


def now() -> Elapsed:
    """Return the time of both clocks."""
    return Elapsed(time.perf_counter(), time.process_time())


def since(start: Elapsed) -> Elapsed:
    """Return the time since `start`."""
    end = now()
    return Elapsed(end.wall - start.wall, end.cpu - start.cpu)


# Takes that many training steps, on the batches in turn; returns their time if it also does other work.
Steps = Callable[[int], Elapsed | None]
Translate = Callable[[list[DecodingBatch], int], int]  # batches and beams to the number of tokens produced


@dataclass(frozen=True)
class Prepared:
    """A model that is ready to be measured.

    Attributes:
        run: the training steps, or the translation of batches.
        parameters: number of trained parameters of the model; None if the toolkit does not tell.
    """

    run: Steps | Translate
    parameters: int | None


def serve(prepare: Callable[[Job], Prepared], *packages: str) -> None:
    """Serve one job: prepare it, warm it up, and measure what is asked, until the end of stdin.

    Args:
        prepare: builds the model of the job.
        packages: distributions whose versions are reported.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    job = read_job(json.loads(sys.stdin.readline()))
    try:
        prepared = prepare(job)
        measured = _measurements(job, prepared)
        measured(warm_up(job))
    except Exception as error:
        answer(failed=_reason(error))
        return
    answer(versions={name: version(name) for name in packages}, parameters=prepared.parameters)
    for line in sys.stdin:
        try:
            result = measured(json.loads(line))
        except Exception as error:
            result = {"failed": _reason(error)}
        answer(**result)


def _reason(error: Exception) -> str:
    """Return an exception in one line; the traceback goes to stderr."""
    traceback.print_exception(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def warm_up(job: Job) -> dict[str, Any]:
    """Return what is run before the first measurement: a training step, or the search with the fewest sentences."""
    if job.task == "training":
        return {"run": "training", "steps": 1}
    return {"run": min(job.searches, key=lambda name: sum(len(each.sources) for each in job.searches[name].batches))}


def _measurements(job: Job, prepared: Prepared) -> Callable[[dict[str, Any]], dict[str, Any]]:
    tokens_of: Iterator[int] = cycle([sum(len(target) + 1 for _, target in batch) for batch in job.training] or [0])

    def measured(request: dict[str, Any]) -> dict[str, Any]:
        start = now()
        run: Any = prepared.run
        if request["run"] == "training":
            elapsed = run(request["steps"]) or since(start)
            tokens = sum(next(tokens_of) for _ in range(request["steps"]))
            sentences = 0
        else:
            search = job.searches[request["run"]]
            tokens = run(search.batches, search.beams)
            elapsed = since(start)
            sentences = sum(len(batch.sources) for batch in search.batches)
            expected = sum(len(batch.sources) * batch.length for batch in search.batches)
            if abs(tokens - expected) > sentences:
                raise ValueError(f"{expected} tokens are required. Received: {tokens}.")
        return {
            "seconds": elapsed.wall,
            "cpu_seconds": elapsed.cpu,
            "tokens": tokens,
            "sentences": sentences,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # kilobytes on Linux
        }

    return measured


def read_job(values: dict[str, Any]) -> Job:
    """Return the job of a line; its batches are in the file `values["data"]`, by task."""
    data = json.loads(Path(values.pop("data")).read_text(encoding="utf-8"))
    is_training = values["task"] == "training"
    searches = {} if is_training else data["searches"]
    return Job(
        **values | {"shape": Shape(**values["shape"])},
        training=data["training"] if is_training else [],
        searches={
            name: Search(search["beams"], [DecodingBatch(**batch) for batch in search["batches"]])
            for name, search in searches.items()
        },
    )


def padded(rows: list[list[int]], pad: int = PAD) -> list[list[int]]:
    """Return rows of equal length, filled up with `pad`."""
    longest = max(map(len, rows))
    return [row + [pad] * (longest - len(row)) for row in rows]


def count(model: Any) -> int:
    """Return the number of trained parameters of a torch model; a shared one counts once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
