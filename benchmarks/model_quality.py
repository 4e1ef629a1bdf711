"""Quality of a translation model: scores by group, loss from typing noise, and gross failures.

    python benchmarks/model_quality.py fr-en --test '{file: test.parquet}' --by source --lines '{file: many.parquet}'

Prints sacreBLEU's BLEU and chrF of the whole test set and by a column; then BLEU for each kind of typing noise in the
sources; then, over many lines, the number of translations that have failed by each rule of the guard.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from translator import Translator
from translator.config import AugmentationConfig, DataConfig, DecodingChanges, parse_sources
from translator.data.augmentation import add_typing_noise
from translator.evaluation import evaluate
from translator.evaluation.examples import Example, read_examples
from translator.evaluation.translation import score_translations, translate_texts
from translator.inference.failures import find_failures

_NOISE = {
    "no accents": AugmentationConfig.model_construct(accents=1.0),
    "no final punctuation": AugmentationConfig.model_construct(final_punctuation=1.0),
    "lowercase": AugmentationConfig.model_construct(lowercase=1.0),
    "no apostrophes": AugmentationConfig.model_construct(apostrophes=1.0),
    "typos": AugmentationConfig.model_construct(typos=1.0),
}


def examples_of(spec: str, column: str | None = None) -> list[Example]:
    """Return the pairs of a test set, grouped by a column."""
    sources = parse_sources(spec)
    return read_examples(sources, DataConfig(source_language="fr", target_language="en", train=sources), by=column)


def report_quality(
    translator: Translator, examples: Sequence[Example], beam_size: int, column: str | None = None
) -> None:
    """Print the scores of all pairs and of each group, then BLEU of sources with typing noise."""
    sources, references = [example.row[0] for example in examples], [example.row[1] for example in examples]
    options: DecodingChanges = {"beam_size": beam_size, "guard": False}
    report = score_translations(translate_texts(translator, sources, options), examples, by=column, with_ter=False)
    print(report.as_table())
    total = report.total.scores.bleu.score
    noisy_sources = {"as written": sources, "capitals": [source.upper() for source in sources]} | {
        name: [add_typing_noise(source, config, seed) for seed, source in enumerate(sources)]
        for name, config in _NOISE.items()
    }
    for name, noisy in noisy_sources.items():
        bleu = evaluate(translate_texts(translator, noisy, options), references, with_ter=False).bleu.score
        print(f"  {name:<22} BLEU {bleu:6.2f}  {100 * (1 - bleu / total) if total else 0.0:5.1f} % lost")


def report_failures(translator: Translator, sources: Sequence[str], beam_size: int) -> None:
    """Print how many translations have failed, by kind, with the first five of each."""
    hypotheses = translate_texts(translator, sources, {"beam_size": beam_size, "guard": False})
    failures: dict[str, list[int]] = {}
    for index, (source, hypothesis) in enumerate(zip(sources, hypotheses, strict=True)):
        for kind in find_failures(source, hypothesis):
            failures.setdefault(kind, []).append(index)
    counts = ", ".join(f"{len(found)} {name}" for name, found in failures.items()) or "no failures"
    print(f"{len(sources):,} lines: {counts}")
    for name, found in failures.items():
        for index in found[:5]:
            print(f"  {name}: {sources[index][:100]} -> {hypotheses[index][:100]}")


def main() -> None:
    """Run the measurements that the arguments request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--test", action="append", default=[], metavar="SPEC", help="test set; may be given again")
    parser.add_argument("--by", metavar="COLUMN", help="column of the test set to report by")
    parser.add_argument("--lines", metavar="SPEC", help="count failures over the sources of these pairs")
    parser.add_argument("--beam-size", type=int, default=5)
    arguments = parser.parse_args()
    translator = Translator.load(arguments.model)
    for spec in arguments.test:
        print(f"\n{spec}")
        report_quality(translator, examples_of(spec, arguments.by), arguments.beam_size, arguments.by)
    if arguments.lines:
        print(f"\n{arguments.lines}")
        report_failures(translator, [example.row[0] for example in examples_of(arguments.lines)], arguments.beam_size)


if __name__ == "__main__":
    main()
