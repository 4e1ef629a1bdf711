"""The failure guard: failures before and after repair, false alarms, and cost.

    python benchmarks/failure_guard.py MODEL --test '{file: test.parquet}' --max-lines 500 --beam-size 5

False alarms are counted on the references of the test set. What the guard reports of a good model is printed with
`--show`, to be judged by hand. Cost is the CPU time of translation with and without the guard, in interleaved runs over
the lines that did not fail.
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from collections.abc import Sequence
from functools import partial

import torch
from measuring import wall_and_cpu_time

from translator import Translation, Translator
from translator.config import DataConfig, DecodingChanges, parse_sources
from translator.evaluation.examples import read_examples
from translator.inference.failures import find_failures
from translator.inference.guard import Repair, is_rare


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--test", required=True, metavar="SPEC", help="test set")
    parser.add_argument("--max-lines", type=int, default=500, metavar="N", help="lines to translate")
    parser.add_argument("--beam-size", type=int, default=5, metavar="N")
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--repeat", type=int, default=0, metavar="N", help="pairs of runs to measure the cost")
    parser.add_argument("--show", action="store_true", help="print the lines that failed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sources = parse_sources(arguments.test)
    data = DataConfig(source_language="fr", target_language="en", train=sources)
    rows = [example.row for example in read_examples(sources, data)]
    translator = Translator.load(arguments.model, "cpu", threads=1, engine=arguments.engine)
    report_references(translator, rows)
    rows = rows[: arguments.max_lines]
    texts = [row[0] for row in rows]
    changes: DecodingChanges = {"beam_size": arguments.beam_size}
    found = translator.translate(texts, **changes)
    report_repairs(found, arguments.show)
    good = [text for text, each in zip(texts, found, strict=True) if not repair_of(each).failures]
    if arguments.repeat and good:
        report_cost(translator, good, changes, arguments.repeat)


def repair_of(translation: Translation) -> Repair:
    """Return the report of the guard, which must be on."""
    assert translation.repair is not None
    return translation.repair


def report_references(translator: Translator, rows: Sequence[Sequence[str]]) -> None:
    """Print how many references the guard would take for failures."""
    rare = partial(is_rare, tokenizer=translator.tokenizers.source)
    _, seconds, kinds = wall_and_cpu_time(lambda: [find_failures(row[0], row[1], rare) for row in rows])
    counts = Counter(kind for found in kinds for kind in found)
    failed = sum(map(bool, kinds))
    print(
        f"references: {failed} of {len(rows):,} reported ({100 * failed / len(rows):.2f} %), {dict(counts)}, "
        f"{1e6 * seconds / len(rows):.0f} us per line"
    )


def report_repairs(translations: Sequence[Translation], show: bool) -> None:
    """Print failures before and after repair, by kind and by step."""
    failed = [each for each in translations if repair_of(each).failures]
    mended = sum(not repair_of(each).remaining for each in failed)
    before = Counter(kind for each in failed for kind in repair_of(each).failures)
    after = Counter(kind for each in failed for kind in repair_of(each).remaining)
    steps = Counter(step for each in failed for step in repair_of(each).steps)
    share = 100 * mended / max(len(failed), 1)
    print(f"lines: {len(translations):,}, failed {len(failed):,}, mended {mended:,} ({share:.1f} %)")
    for kind, count in before.most_common():
        print(f"  {kind:<14} {count:>5,} before {after[kind]:>5,} after")
    print(f"  steps: {dict(steps)}")
    for each in failed if show else ():
        repair = repair_of(each)
        print(f"{repair.failures} {repair.steps} {repair.remaining}\n  {each.source[:200]}\n  {each.text[:200]}")


def report_cost(translator: Translator, texts: Sequence[str], changes: DecodingChanges, repeats: int) -> None:
    """Print the CPU time of translation with the guard, relative to translation without it."""
    ratios = []
    for _ in range(repeats):
        times = [
            wall_and_cpu_time(partial(translator.translate, texts, **changes, guard=guard))[1]
            for guard in (True, False)
        ]
        ratios.append(times[0] / times[1])
    print(
        f"cost on {len(texts):,} lines that did not fail: CPU time {statistics.median(ratios):.3f} times that without "
        f"the guard (median of {repeats} pairs, {min(ratios):.3f} to {max(ratios):.3f})"
    )


if __name__ == "__main__":
    main()
