"""How good is a model, how much does careless typing cost it, and how often does it fall apart?

    python benchmarks/model_quality.py fr-en --test '{file: test.parquet}' --by source --lines '{file: many.parquet}'

Scores are sacreBLEU's BLEU and chrF, whole and by a column of the test set; then BLEU with the sources typed
carelessly, in one way after the other (references as they are); then, over many lines, how many translations are
empty, copied from the source, or loop.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from translator import Translator
from translator.config import AugmentationConfig, DataConfig, parse_sources
from translator.data.augmentation import careless
from translator.data.sources import read_rows
from translator.evaluation import evaluate

# One to four words, four times or more in a row.
_LOOP = re.compile(r"\b((?:\S+\s+){0,3}\S+)(?:\s+\1){3,}", re.IGNORECASE)
_CARELESS = {
    "no accents": AugmentationConfig.model_construct(accents=1.0),
    "no final punctuation": AugmentationConfig.model_construct(final_punctuation=1.0),
    "small letters": AugmentationConfig.model_construct(lowercase=1.0),
    "no apostrophes": AugmentationConfig.model_construct(apostrophes=1.0),
    "typos": AugmentationConfig.model_construct(typos=1.0),
}


def translate(translator: Translator, texts: Sequence[str], beam_size: int) -> list[str]:
    """Translations of texts, a thousand at a time."""
    found: list[str] = []
    for start in range(0, len(texts), 1000):
        translations = translator.translate(texts[start : start + 1000], beam_size=beam_size)
        found += [translation.text for translation in translations]
    return found


def rows(spec: str, column: str | None = None) -> list[tuple[str, str, str]]:
    """Source, reference and the value of a column (none: the empty text) of each pair."""
    found: list[tuple[str, str, str]] = []
    for source in parse_sources(spec):
        data = DataConfig(source_language="fr", target_language="en", train=(source,))
        pairs = list(read_rows((source,), data))
        labels = [""] * len(pairs)
        if column:
            labels = [label for _, label in read_rows((source.model_copy(update={"target_column": column}),), data)]
        found += [(*pair, label) for pair, label in zip(pairs, labels, strict=True)]
    return found


def report_quality(translator: Translator, pairs: Sequence[tuple[str, str, str]], beam_size: int) -> None:
    """BLEU and chrF of all pairs and of each group, then BLEU of careless sources."""
    sources, references, groups = zip(*pairs, strict=True)
    hypotheses = translate(translator, sources, beam_size)
    scores = evaluate(hypotheses, references, with_ter=False)
    print(f"{len(pairs):,} pairs  BLEU {scores.bleu.score:.2f}  chrF {scores.chrf.score:.2f}  {scores.bleu.signature}")
    names = sorted(set(groups), key=lambda name: -groups.count(name))
    for name in names if len(names) > 1 else ():
        chosen = [number for number, group in enumerate(groups) if group == name]
        part = evaluate([hypotheses[n] for n in chosen], [references[n] for n in chosen], with_ter=False)
        print(f"  {name:<22} {len(chosen):5}  BLEU {part.bleu.score:6.2f}  chrF {part.chrf.score:6.2f}")
    typed_carelessly = {"as written": sources, "capitals": [source.upper() for source in sources]} | {
        name: [careless(source, config, seed) for seed, source in enumerate(sources)]
        for name, config in _CARELESS.items()
    }
    for name, typed in typed_carelessly.items():
        bleu = evaluate(translate(translator, typed, beam_size), references, with_ter=False).bleu.score
        print(f"  {name:<22} BLEU {bleu:6.2f}  {100 * (1 - bleu / scores.bleu.score):5.1f} % lost")


def report_failures(translator: Translator, sources: Sequence[str], beam_size: int) -> None:
    """How many translations are empty, copied or loop where their source does not, with the first few."""
    hypotheses = translate(translator, sources, beam_size)
    failures: dict[str, list[tuple[str, str]]] = {"empty": [], "copied": [], "looping": []}
    for source, hypothesis in zip(sources, hypotheses, strict=True):
        if not hypothesis.strip() and source.strip():
            failures["empty"].append((source, hypothesis))
        elif hypothesis.casefold() == source.casefold() and len(source.split()) > 3:
            failures["copied"].append((source, hypothesis))
        elif _LOOP.search(hypothesis) and not _LOOP.search(source):
            failures["looping"].append((source, hypothesis))
    counts = ", ".join(f"{len(found)} {name}" for name, found in failures.items())
    print(f"{len(sources):,} lines: {counts}")
    for name, found in failures.items():
        for source, hypothesis in found[:5]:
            print(f"  {name}: {source[:100]} -> {hypothesis[:100]}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--test", action="append", default=[], metavar="SPEC", help="test set; may be given again")
    parser.add_argument("--by", metavar="COLUMN", help="column of the test set to report by")
    parser.add_argument("--lines", metavar="SPEC", help="look for failures in the sources of these pairs")
    parser.add_argument("--beam-size", type=int, default=5)
    arguments = parser.parse_args()
    translator = Translator.load(arguments.model)
    for spec in arguments.test:
        print(f"\n{spec}")
        report_quality(translator, rows(spec, arguments.by), arguments.beam_size)
    if arguments.lines:
        print(f"\n{arguments.lines}")
        report_failures(translator, [source for source, _, _ in rows(arguments.lines)], arguments.beam_size)


if __name__ == "__main__":
    main()
