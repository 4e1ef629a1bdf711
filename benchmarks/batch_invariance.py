"""Translations of the same sentences in five batchings: how many texts change, and by how much scores differ.

    python benchmarks/batch_invariance.py fr-en --test '{phrasebook: test}' --max-lines 1000 --beam-size 1
    python benchmarks/batch_invariance.py fr-en --test '{file: test.parquet}' --precision bfloat16

The batchings differ in batch size, order, number of texts per call, and threads. `--exact` measures what equal scores
would cost: each translation scored alone, which gives the model's matrix products the same shapes in any batch.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from measuring import wall_and_cpu_time

from translator import Translation, Translator
from translator.config import DataConfig, DecodingChanges, parse_sources
from translator.evaluation.examples import read_examples


@dataclass(frozen=True)
class Batching:
    """A way to translate many texts.

    Attributes:
        batch_tokens: source tokens decoded together.
        window: texts per call.
        seed: random seed of their order; None is the given order.
        threads: CPU threads.
    """

    batch_tokens: int
    window: int
    seed: int | None
    threads: int


BATCHINGS = (
    Batching(batch_tokens=4096, window=1000, seed=None, threads=1),
    Batching(batch_tokens=256, window=1000, seed=1, threads=1),
    Batching(batch_tokens=1, window=100, seed=None, threads=1),
    Batching(batch_tokens=1000, window=37, seed=2, threads=1),
    Batching(batch_tokens=4096, window=500, seed=3, threads=2),
)


def translate_in_batches(
    translator: Translator, texts: Sequence[str], batching: Batching, changes: DecodingChanges
) -> list[Translation]:
    """Return the translations in the order of the texts."""
    order = list(range(len(texts)))
    if batching.seed is not None:
        random.Random(batching.seed).shuffle(order)
    found: dict[int, Translation] = {}
    for start in range(0, len(order), batching.window):
        numbers = order[start : start + batching.window]
        window = [texts[number] for number in numbers]
        translations = translator.translate(window, **changes, batch_tokens=batching.batch_tokens)
        found |= dict(zip(numbers, translations, strict=True))
    return [found[number] for number in range(len(texts))]


def compare(runs: Sequence[Sequence[Translation]]) -> tuple[int, float]:
    """Return how many texts are not the same in all runs, and the largest difference of scores of the others."""
    changed, largest = 0, 0.0
    for translations in zip(*runs, strict=True):
        if len({each.text for each in translations}) > 1:
            changed += 1
        else:
            scores = [each.score for each in translations]
            largest = max(largest, max(scores) - min(scores))
    return changed, largest


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--test", required=True, metavar="SPEC", help="test set")
    parser.add_argument("--max-lines", type=int, default=1000, metavar="N")
    parser.add_argument("--beam-size", type=int, default=1, metavar="N")
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--precision", help="float32, bfloat16 or int8 (default: as the model is stored)")
    parser.add_argument("--no-guard", dest="guard", action="store_false")
    parser.add_argument("--exact", action="store_true", help="measure the cost of equal scores (engine: torch)")
    arguments = parser.parse_args()
    sources = parse_sources(arguments.test)
    data = DataConfig(source_language="fr", target_language="en", train=sources)
    texts = list(dict.fromkeys(example.row[0] for example in read_examples(sources, data)))[: arguments.max_lines]
    changes: DecodingChanges = {"beam_size": arguments.beam_size, "guard": arguments.guard}
    runs, first_time = [], 0.0
    for batching in BATCHINGS:
        translator = Translator.load(
            arguments.model, "cpu", threads=batching.threads, precision=arguments.precision, engine=arguments.engine
        )
        _, seconds, found = wall_and_cpu_time(
            lambda t=translator, b=batching: translate_in_batches(t, texts, b, changes)
        )
        first_time = first_time or seconds
        changed, largest = compare([(runs or [found])[0], found])
        print(f"{batching}: {seconds:.1f} s of CPU time, {changed} texts changed, scores by {largest:.1e}", flush=True)
        runs.append(found)
    changed, largest = compare(runs)
    print(
        f"{len(texts):,} texts, {len(runs)} batchings: {changed} change, scores of the others differ by {largest:.1e}"
    )
    if arguments.exact:
        report_exact(arguments.model, arguments.precision, runs[0], first_time)


def report_exact(model: str, precision: str | None, translations: Sequence[Translation], decoding_time: float) -> None:
    """Print the CPU time of scoring each translation alone, and whether threads change the scores."""
    scores = []
    for threads in (1, 2):
        translator = Translator.load(model, "cpu", threads=threads, precision=precision)
        pairs = [(each.source, each.text) for each in translations]
        _, seconds, found = wall_and_cpu_time(lambda t=translator, p=pairs: [t.score([pair])[0] for pair in p])
        scores.append([each.token_log_probabilities for each in found])
        ratio = seconds / decoding_time
        print(f"scored one by one, threads={threads}: {seconds:.1f} s of CPU time, {ratio:.2f} times the search")
    print(f"scores that differ between 1 and 2 threads: {sum(a != b for a, b in zip(*scores, strict=True))}")
    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
