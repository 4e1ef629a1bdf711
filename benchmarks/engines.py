"""The CTranslate2 engine against CTranslate2 called directly and against the PyTorch engine, and the start-up of both.

    python benchmarks/engines.py [--model fr-en-tiny] [--sentences 256] [--rounds 5] [--json engines.json]

One thread, float32, CPU time. Each round translates the same sentences; the implementations alternate call by call, in
random order, so that other load of the machine affects all of them. The table has the median over the rounds of the
time per sentence, and of the ratio to the direct calls of the same round. Text goes in and comes out, so tokenization
is included everywhere. Direct calls do not read sentences or capitals as the engines do.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import ctranslate2
import sentencepiece
from measuring import wall_and_cpu_time

from translator import Translator
from translator.checkpoint.location import find_model
from translator.config import DataConfig, load_config, parse_sources
from translator.data.sources import read_rows
from translator.engines.ctranslate2_cache import converted
from translator.tokenizer import Tokenizers

Translate = Callable[[Sequence[str], int], list[str]]
SETTINGS = [(1, 64), (1, 1), (5, 64), (5, 1)]  # beam size, sentences per call
SINGLE = 4  # one sentence of 4 is translated one at a time


def direct(model: Path, max_positions: int, directory: Path) -> Translate:
    """Return translation by CTranslate2 and SentencePiece alone, with the settings of docs/exports.md."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model / "tokenizer.model"))
    engine = ctranslate2.Translator(str(directory), compute_type="float32", inter_threads=1, intra_threads=1)

    def translate(texts: Sequence[str], beam_size: int) -> list[str]:
        found = engine.translate_batch(
            processor.encode(list(texts), out_type=str),
            beam_size=beam_size,
            length_penalty=0.45,
            patience=2 if beam_size > 1 else 1,
            disable_unk=True,
            suppress_sequences=[["<s>"]],
            max_input_length=0,
            max_decoding_length=max_positions,
        )
        texts_out: list[str] = processor.decode([each.hypotheses[0] for each in found])
        return texts_out

    return translate


def by_engine(model: str, engine: str) -> Translate:
    translator = Translator.load(model, "cpu", 1, engine=engine)
    return lambda texts, beam_size: [each.text for each in translator.translate(texts, beam_size=beam_size)]


def seconds_per_sentence(
    implementations: Mapping[str, Translate], texts: Sequence[str], beam_size: int, size: int, seed: int
) -> dict[str, float]:
    """Return the CPU time of each implementation, which take turns at each call."""
    used, order = texts if size > 1 else texts[::SINGLE], list(implementations)
    seconds = dict.fromkeys(order, 0.0)
    generator = random.Random(seed)
    for start in range(0, len(used), size):
        generator.shuffle(order)
        for name in order:
            part = used[start : start + size]
            _, cpu, _ = wall_and_cpu_time(partial(implementations[name], part, beam_size))
            seconds[name] += cpu
    return {name: seconds[name] / len(used) for name in implementations}


def start_up(model: str, engine: str) -> float:
    """Return the CPU time of translating one sentence in a process of its own, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "translator", "translate", model, "--engine", engine, "--threads", "1"]
    subprocess.run([*command, "Où est la gare ?"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fr-en-tiny")
    parser.add_argument("--test", default="{phrasebook: test}", help="source of the sentences, as data.test")
    parser.add_argument("--sentences", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the table to this file")
    options = parser.parse_args()
    path = find_model(options.model)
    config, tokenizers = load_config(path / "config.yaml"), Tokenizers.load(path)
    data = DataConfig(source_language="fr", target_language="en")
    texts = [
        row[0] for row, _ in zip(read_rows(parse_sources(options.test), data), range(options.sentences), strict=False)
    ]
    implementations = {
        "CTranslate2, direct calls": direct(
            path, config.model.max_positions, converted(path, config.model, tokenizers)
        ),
        "engine ctranslate2": by_engine(options.model, "ctranslate2"),
        "engine torch": by_engine(options.model, "torch"),
    }
    table: dict[str, dict[str, float]] = {}
    for beam_size, size in SETTINGS:
        rounds = [
            seconds_per_sentence(implementations, texts, beam_size, size, seed) for seed in range(options.rounds + 1)
        ][1:]  # the first warms up
        for name in implementations:
            seconds = statistics.median(times[name] for times in rounds)
            ratio = statistics.median(times[name] / times["CTranslate2, direct calls"] for times in rounds)
            label = f"{name}, beam {beam_size}, {size} at a time"
            table[label] = {"sentences_per_second": 1 / seconds, "time_ratio": ratio}
            print(f"{label:55s} {1 / seconds:8.1f} sentences/s   time {ratio:.3f} of direct calls", flush=True)
    times = [[start_up(options.model, engine) for engine in ("torch", "ctranslate2")] for _ in range(options.rounds)]
    for number, engine in enumerate(("torch", "ctranslate2")):
        label, seconds = f"start-up with engine {engine}", statistics.median(each[number] for each in times)
        table[label] = {"seconds": seconds}
        print(f"{label:55s} {seconds:8.2f} s of CPU time")
    if options.json:
        options.json.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
