"""The HTTP server under load: CPU time against `translator translate`, latency, lost and mixed-up responses.

Texts are sentences of the embedded corpus, each with a number of its own, so that no two requests at a time are equal.
Every response is compared with the line that the filter writes for its text. The server, the filter and the clients are
processes of their own; the clients use the same cores as the server.

The filter runs twice: over all texts, and over as many lines at a time as there are clients. A server cannot have more
texts at a time, so the second is the least that its batches can cost. Each client has one request at a time.

Servers, filter and library are started once and measured in turn. Figures are medians over the rounds. CPU times are
user and system time of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow.parquet as parquet

import translator

MAX_DISTINCT = 10_000  # texts; more requests repeat them
# A process that translates each line it reads and prints the seconds of the call.
LIBRARY = """
import sys, time
from translator import Translator
loaded = Translator.load({0!r}, threads={1}, engine={2!r})
for line in sys.stdin:
    start = time.perf_counter()
    loaded.translate(line.strip(), beam_size={3})
    print(time.perf_counter() - start, flush=True)
"""
_CHECKOUT = Path(translator.__file__).parents[1]
_CORPUS = Path(translator.__file__).parent / "data" / "embedded"


@dataclass
class Server:
    """A running server and the port that it listens on."""

    name: str
    process: subprocess.Popen[str]
    port: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="fr-en-tiny")
    parser.add_argument("--requests", type=int, default=2000, help="requests per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--beam-size", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", default="torch", choices=("torch", "ctranslate2"))
    parser.add_argument("--short", action="store_true", help="requests of one sentence: Le numéro est 12.")
    parser.add_argument("--idle", type=int, default=200, help="requests at an idle server")
    parser.add_argument("--baseline", type=Path, help="checkout of another commit, whose server is measured in turn")
    arguments = parser.parse_args()
    distinct = min(arguments.requests, MAX_DISTINCT)
    texts = [f"Le numéro est {number}." for number in range(distinct)]
    if not arguments.short:
        texts = numbered_sentences(distinct)
    options = [arguments.model, "--beam-size", str(arguments.beam_size), "--threads", str(arguments.threads)]
    options += ["--engine", arguments.engine]
    checkouts = {"server": _CHECKOUT} | ({"baseline": arguments.baseline} if arguments.baseline else {})
    with ExitStack() as stack:
        servers = [stack.enter_context(running(name, path, options)) for name, path in checkouts.items()]
        if arguments.idle:
            report_idle(servers, texts[: arguments.idle], arguments)
        report_load(servers, options, texts, arguments)


def numbered_sentences(count: int) -> list[str]:
    """Return sentences of the embedded corpus, each followed by one that holds a number."""
    table = parquet.read_table(_CORPUS / "phrasebook-test.parquet", columns=["fr"])
    sentences = table["fr"].to_pylist()
    return [f"{sentences[number % len(sentences)]} Le numéro est {number}." for number in range(count)]


def cpu_times(process: subprocess.Popen[str]) -> tuple[float, float]:
    """Return the CPU seconds of a running process (Linux): of all threads, and of the main thread."""
    return tuple(
        sum(map(int, Path(f"/proc/{path}/stat").read_text().rpartition(")")[2].split()[11:13]))
        / os.sysconf("SC_CLK_TCK")
        for path in (f"{process.pid}", f"{process.pid}/task/{process.pid}")
    )  # type: ignore[return-value]


@contextmanager
def running(name: str, checkout: Path, options: Sequence[str]) -> Iterator[Server]:
    """Start the server of a checkout, and stop it when the context ends."""
    command = [sys.executable, "-m", "translator", "serve", *options, "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=checkout) as process:
        try:
            assert process.stderr is not None
            yield Server(name, process, int(process.stderr.readline().rsplit(":", 1)[1]))
        finally:
            process.terminate()
            print(f"{name}: stopped with exit code {process.wait()}")


def report_idle(servers: Sequence[Server], texts: Sequence[str], arguments: argparse.Namespace) -> None:
    """Print the latency of idle servers, and of library calls in an idle process, text by text in turn."""
    code = LIBRARY.format(arguments.model, arguments.threads, arguments.engine, arguments.beam_size)
    seconds: dict[str, list[float]] = defaultdict(list)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdin is not None and it.stdout is not None
        processes = {"library": it} | {server.name: server.process for server in servers}
        connections = [(server.name, http.client.HTTPConnection("127.0.0.1", server.port)) for server in servers]
        for number, text in enumerate([*texts[:3], *texts]):
            if number == 3:  # the first warm up
                seconds.clear()
                before = {name: cpu_times(process)[0] for name, process in processes.items()}
            print(text, file=it.stdin, flush=True)
            seconds["library"].append(float(it.stdout.readline()))
            for name, connection in connections:
                start = time.perf_counter()
                body = json.dumps({"q": text, "source": "fr", "target": "en"})
                connection.request("POST", "/translate", body, {"Content-Type": "application/json"})
                connection.getresponse().read()
                seconds[name].append(time.perf_counter() - start)
        cpu = {name: cpu_times(process)[0] - before[name] for name, process in processes.items()}
        it.stdin.close()
    for name, found in seconds.items():
        cuts = statistics.quantiles(found, n=20)
        print(
            f"idle, {name}: p50 {1000 * cuts[9]:.1f} ms, p95 {1000 * cuts[18]:.1f} ms, "
            f"{1000 * cpu[name] / len(texts):.2f} ms of CPU time each"
        )


def report_load(
    servers: Sequence[Server], options: Sequence[str], texts: Sequence[str], arguments: argparse.Namespace
) -> None:
    """Load the servers and the filter in turn, and print what was measured."""
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)  # milliseconds per text, by round
    latencies: dict[str, list[float]] = defaultdict(list)
    num_wrong = 0
    command = [sys.executable, "-m", "translator", "translate", *options, "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        run_filter(process, ["Bonjour."] * 8, 8)  # started and warm
        for _ in range(arguments.rounds):
            expected, *row = run_filter(process, texts, len(texts))
            rows["filter"].append(tuple(row))
            _, *row = run_filter(process, texts, arguments.clients)
            rows[f"filter, {arguments.clients} lines at a time"].append(tuple(row))
            for server in servers:
                answers, *row = run_clients(server, texts, arguments)
                rows[server.name].append(tuple(row))
                latencies[server.name] += [seconds for _, seconds in answers]
                num_wrong += sum(text != expected[number % len(expected)] for number, (text, _) in enumerate(answers))
        assert process.stdin is not None
        process.stdin.close()
    for name, found in rows.items():
        wall, cpu, loop, batch = (statistics.median(values) for values in zip(*found, strict=True))
        spread = f"{min(each[1] for each in found):.2f}-{max(each[1] for each in found):.2f}"
        print(f"{name}: {1000 / wall:,.1f} texts/s, {cpu:.2f} ms of CPU time each ({spread})", end="")
        print(f", {loop:.2f} of them in the event loop; {batch:.1f} texts per batch" if batch else "")
    for name, times in latencies.items():
        cuts = statistics.quantiles(times, n=20)
        print(f"loaded, {name}: p50 {1000 * cuts[9]:.1f} ms, p95 {1000 * cuts[18]:.1f} ms")
    print(f"{num_wrong} of {sum(map(len, latencies.values()))} responses differ from the filter's line")


def run_filter(
    process: subprocess.Popen[str], texts: Sequence[str], at_a_time: int
) -> tuple[list[str], float, float, float, float]:
    """Return the translations of `translator translate`, and its milliseconds of wall-clock and CPU time per text.

    Args:
        process: the filter.
        texts: lines to translate.
        at_a_time: number of lines that are written before their translations are read.
    """
    assert process.stdin is not None and process.stdout is not None
    start, cpu, lines = time.perf_counter(), cpu_times(process)[0], []
    for first in range(0, len(texts), at_a_time):
        part = texts[first : first + at_a_time]
        writer = threading.Thread(target=write_lines, args=(process.stdin, part))
        writer.start()  # a pipe holds few lines: the filter writes while it reads
        lines += [process.stdout.readline().removesuffix("\n") for _ in part]
        writer.join()
    unit = 1000 / len(texts)
    return lines, unit * (time.perf_counter() - start), unit * (cpu_times(process)[0] - cpu), 0.0, 0.0


def write_lines(stream: IO[str], lines: Sequence[str]) -> None:
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()


def run_clients(
    server: Server, texts: Sequence[str], arguments: argparse.Namespace
) -> tuple[list[tuple[str, float]], float, float, float, float]:
    """Load a server.

    Returns:
        Translation and seconds of each request; milliseconds of wall-clock time, of CPU time and of CPU time of the
        main thread per request; texts per batch.
    """
    batches, start, before = num_batches(server), time.perf_counter(), cpu_times(server.process)
    answers = asyncio.run(load(server.port, texts, arguments.requests, arguments.clients))
    wall, after = time.perf_counter() - start, cpu_times(server.process)
    unit = 1000 / arguments.requests
    total, loop = (unit * (late - early) for early, late in zip(before, after, strict=True))
    return answers, unit * wall, total, loop, arguments.requests / (num_batches(server) - batches)


def num_batches(server: Server) -> float:
    """Return the number of batches that a server has translated."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    return float(page.partition("\ntranslator_batch_texts_count ")[2].split()[0])


async def load(port: int, texts: Sequence[str], num_requests: int, clients: int) -> list[tuple[str, float]]:
    """Send the texts from many clients, one request at a time each; return translation and seconds of each request."""
    answers: list[tuple[str, float]] = [("", 0.0)] * num_requests
    numbers = iter(range(num_requests))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            start = time.perf_counter()
            text = await translate(reader, writer, texts[number % len(texts)])
            answers[number] = text, time.perf_counter() - start
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


async def translate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> str:
    """Send one request; return its translation, or the whole body if it failed."""
    body = json.dumps({"q": text, "source": "fr", "target": "en"}).encode()
    head = (
        f"POST /translate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    headers = (await reader.readuntil(b"\r\n\r\n")).lower()
    answer = await reader.readexactly(int(headers.partition(b"content-length:")[2].split(b"\r\n")[0]))
    found: str = json.loads(answer).get("translatedText", answer.decode())
    return found


if __name__ == "__main__":
    main()
