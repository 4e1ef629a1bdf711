"""The HTTP server under load: throughput against `translator translate`, latency, lost and mixed-up responses.

Texts are sentences of the embedded corpus, each with a number of its own, so that no two requests at a time are equal.
Every response is compared with the line that the filter writes for its text. The server, the filter and the clients are
processes of their own; the clients use the same cores as the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
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
_CORPUS = Path(translator.__file__).parent / "data" / "embedded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="fr-en-tiny")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--beam-size", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", default="torch", choices=("torch", "ctranslate2"))
    parser.add_argument("--short", action="store_true", help="requests of one sentence: Le numéro est 12.")
    parser.add_argument("--idle", type=int, default=200, help="requests at an idle server")
    arguments = parser.parse_args()
    distinct = min(arguments.requests, MAX_DISTINCT)
    texts = [f"Le numéro est {number}." for number in range(distinct)]
    if not arguments.short:
        texts = numbered_sentences(distinct)
    options = [arguments.model, "--beam-size", str(arguments.beam_size), "--threads", str(arguments.threads)]
    options += ["--engine", arguments.engine]
    expected, wall, cpu = run_filter(options, texts)
    print(f"filter: {len(texts) / wall:,.1f} sentences/s, {1000 * cpu / len(texts):.2f} ms of CPU time each")
    rounds = math.ceil(arguments.requests / distinct)
    report_server(options, *((rounds * each)[: arguments.requests] for each in (texts, expected)), arguments)


def numbered_sentences(count: int) -> list[str]:
    """Return sentences of the embedded corpus, each followed by one that holds a number."""
    table = parquet.read_table(_CORPUS / "phrasebook-test.parquet", columns=["fr"])
    sentences = table["fr"].to_pylist()
    return [f"{sentences[number % len(sentences)]} Le numéro est {number}." for number in range(count)]


def cpu_time(process: subprocess.Popen[str]) -> float:
    """Return the CPU seconds of a running process (Linux)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_filter(options: Sequence[str], texts: Sequence[str]) -> tuple[list[str], float, float]:
    """Return the translations of `translator translate`, and its wall-clock and CPU seconds without start-up."""
    command = [sys.executable, "-m", "translator", "translate", *options, "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("Bonjour.\n")
        process.stdin.flush()
        process.stdout.readline()  # started
        start, cpu = time.perf_counter(), cpu_time(process)
        writer = threading.Thread(target=write_lines, args=(process.stdin, [*texts, ""]))
        writer.start()  # a pipe holds few lines: the filter writes while it reads
        lines = [process.stdout.readline().removesuffix("\n") for _ in range(len(texts) + 1)][:-1]
        writer.join()
        result = lines, time.perf_counter() - start, cpu_time(process) - cpu
        process.stdin.close()
        return result


def write_lines(stream: IO[str], lines: Sequence[str]) -> None:
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()


def report_server(
    options: Sequence[str], texts: Sequence[str], expected: Sequence[str], arguments: argparse.Namespace
) -> None:
    """Start a server, load it, and print what was measured."""
    command = [sys.executable, "-m", "translator", "serve", *options, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = int(process.stderr.readline().rsplit(":", 1)[1])
            report_idle(process, port, texts[: arguments.idle], arguments)
            start, cpu = time.perf_counter(), cpu_time(process)
            answers = asyncio.run(load(port, texts, arguments.clients))
            seconds, cpu = time.perf_counter() - start, cpu_time(process) - cpu
        finally:
            process.terminate()
        print(f"stopped with exit code {process.wait()}")
    wrong = sum(text != found for (text, _), found in zip(answers, expected, strict=True))
    print(
        f"server, {arguments.clients} clients: {len(texts) / seconds:,.1f} sentences/s, "
        f"{1000 * cpu / len(texts):.2f} ms of CPU time each; {wrong} of {len(texts)} differ"
    )
    cuts = statistics.quantiles([seconds for _, seconds in answers], n=20)
    print(f"loaded: p50 {1000 * cuts[9]:.1f} ms, p95 {1000 * cuts[18]:.1f} ms")


def report_idle(server: subprocess.Popen[str], port: int, texts: Sequence[str], arguments: argparse.Namespace) -> None:
    """Print the latency of an idle server, and of library calls in an idle process, text by text in turn."""
    code = LIBRARY.format(arguments.model, arguments.threads, arguments.engine, arguments.beam_size)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdin is not None and it.stdout is not None
        times: list[tuple[float, float]] = []
        for text in [texts[0], *texts]:
            if len(times) == 1:  # the first warms up
                starts = [cpu_time(process) for process in (server, it)]
            [(_, seconds)] = asyncio.run(load(port, [text], 1))
            print(text, file=it.stdin, flush=True)
            times.append((seconds, float(it.stdout.readline())))
        cpu = [cpu_time(process) - start for process, start in zip((server, it), starts, strict=True)]
        it.stdin.close()
    for name, seconds_each, cpu_seconds in zip(("server", "library"), zip(*times[1:], strict=True), cpu, strict=True):
        cuts = statistics.quantiles(seconds_each, n=20)
        print(
            f"idle, {name}: p50 {1000 * cuts[9]:.1f} ms, p95 {1000 * cuts[18]:.1f} ms, "
            f"{1000 * cpu_seconds / len(texts):.2f} ms of CPU time each"
        )


async def load(port: int, texts: Sequence[str], clients: int) -> list[tuple[str, float]]:
    """Send the texts from many clients, one request at a time each; return translation and seconds of each text."""
    answers: list[tuple[str, float]] = [("", 0.0)] * len(texts)
    numbers = iter(range(len(texts)))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            start = time.perf_counter()
            text = await translate(reader, writer, texts[number])
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
