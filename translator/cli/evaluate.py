"""`translator evaluate MODEL`: score a model on a test set, by what it was trained for."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from translator.cli.lines import WINDOW_LINES, LineError, to_json, write_line
from translator.cli.options import OptionError, add_model, add_search, search_options
from translator.cli.streams import open_input, open_output

if TYPE_CHECKING:
    import torch

    from translator.checkpoint import LoadedModel
    from translator.config import Config, DataConfig, Objective, Source
    from translator.inference.translator import Translator


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score a model on a test set",
        description="Score a model on a test set: a translator by sacreBLEU's BLEU, chrF and TER, a classifier by its "
        "accuracy and a confusion table, a language model by its perplexity.",
    )
    add_model(parser)
    parser.add_argument(
        "--test", metavar="SPEC", help="what data.test takes, as YAML or a path (default: data.test of the model)"
    )
    parser.add_argument("--json", action="store_true", help="write the scores as one JSON object")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the translations or labels to this file")
    parser.add_argument(
        "--baselines",
        action="store_true",
        help="of a classifier: score what it must beat too, the most frequent label and a bag of words, both learned "
        "from its data.train",
    )
    add_search(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load, score, print."""
    from translator.cli.reports import classification_report, perplexity_report
    from translator.data.files import DataError
    from translator.inference.loading import load_to_decode
    from translator.inference.purpose import require_objective

    loaded, device = load_to_decode(arguments.model, arguments.device, arguments.threads, arguments.precision)
    objective = loaded.config.training.objective
    _require_fitting(arguments, objective)
    sources = _sources(arguments.test, loaded.config)
    try:
        with _open_output(arguments.output, sources) as output:
            match objective:
                case "classification":
                    report, table = classification_report(
                        loaded, device, sources, output, has_baselines=arguments.baselines
                    )
                case "language_modeling":
                    report, table = perplexity_report(loaded, device, sources)
                case _:
                    require_objective(loaded, "translation")
                    report, table = _translation_report(loaded, device, sources, output, search_options(arguments))
    except DataError as error:
        if arguments.test is None:
            raise LineError(f"{error} The model's recipe names it as data.test. Give --test.") from error
        raise
    with open_output(None, []) as result:
        write_line(result, to_json(report) if arguments.json else table)
    return 0


def _require_fitting(arguments: argparse.Namespace, objective: Objective) -> None:
    """Refuse options that a model of this objective has no use for."""
    search = ["beam_size", "length_penalty", "max_length_factor", "no_repeat_ngram"]
    unused = {
        "translation": ["baselines"],
        "classification": search,
        "language_modeling": [*search, "baselines", "output"],
    }
    for name in unused.get(objective, []):
        value = getattr(arguments, name)
        if value is not None and value is not False:  # zero is something to refuse, too
            raise OptionError(f"--{name.replace('_', '-')} is not for a model of {objective}. Leave it out.")


@contextmanager
def _open_output(path: str | None, sources: Sequence[Source]) -> Iterator[BinaryIO | None]:
    """Where the answers go, if they are asked for; opened before the work, and never a file of the test set."""
    if path is None:
        yield None
        return
    named = [source.file for source in sources if source.file]
    named += [name for source in sources if source.text for name in (source.text.source, source.text.target)]
    with ExitStack() as stack:
        read = [stack.enter_context(open_input(name)) for name in named if Path(name).expanduser().is_file()]
        yield stack.enter_context(open_output(path, read))


def _translation_report(
    loaded: LoadedModel,
    device: torch.device,
    sources: Sequence[Source],
    output: BinaryIO | None,
    options: dict[str, Any],
) -> tuple[dict[str, Any], str]:
    """Translate and score: the scores, and as a table."""
    from translator.inference.translator import Translator

    examples = _read(sources, loaded.config.data)
    translator = Translator.of(loaded, device)
    start = time.perf_counter()
    hypotheses = _translate(translator, [example.text for example in examples], options)
    seconds = time.perf_counter() - start
    print(f"{len(examples):,} sentences in {seconds:.1f} s, {len(examples) / seconds:.1f} a second", file=sys.stderr)
    if output is not None:
        for hypothesis in hypotheses:
            write_line(output, hypothesis)
    report = _report(examples, hypotheses)
    return report, _as_table(report)


@dataclass(frozen=True)
class _Example:
    """A pair of the test set, what source it is from and, in the embedded corpus, what construction it shows."""

    text: str
    reference: str
    source: str
    construction: str | None


def _sources(spec: str | None, config: Config) -> tuple[Source, ...]:
    from translator.config import parse_sources

    sources = config.data.test if spec is None else parse_sources(spec, config.form)
    if not sources:
        raise LineError("An evaluation needs a test set. Received: a model whose data.test is empty. Give --test.")
    return sources


def _read(sources: Sequence[Source], data: DataConfig) -> list[_Example]:
    from translator.data.corpus import read_rows
    from translator.data.sources import describe

    examples: list[_Example] = []
    for source in sources:
        pairs = list(read_rows((source,), data))
        constructions = _constructions(source, data) or [None] * len(pairs)
        examples += [
            _Example(text, reference, describe(source), construction)
            for (text, reference), construction in zip(pairs, constructions, strict=True)
        ]
    return examples


def _constructions(source: Source, data: DataConfig) -> list[str | None]:
    if source.phrasebook is None:
        return []
    from translator.data.corpus import read_rows

    column = source.model_copy(update={"text_column": ("construction",)})
    return [construction for (construction,) in read_rows((column,), data, "texts")]


def _translate(translator: Translator, texts: Sequence[str], options: dict[str, Any]) -> list[str]:
    from tqdm import tqdm

    hypotheses: list[str] = []
    with tqdm(total=len(texts), unit=" sentences", disable=None, leave=False) as progress:
        for start in range(0, len(texts), WINDOW_LINES):
            window = texts[start : start + WINDOW_LINES]
            hypotheses += [translation.text for translation in translator.translate(window, **options)]
            progress.update(len(window))
    return hypotheses


def _report(examples: Sequence[_Example], hypotheses: Sequence[str]) -> dict[str, Any]:
    """Scores of all, then of each source and each construction where there are several."""
    from translator.evaluation import evaluate, exact_match

    def exact(numbers: Sequence[int]) -> float:
        return exact_match([hypotheses[n] for n in numbers], [examples[n].reference for n in numbers])

    report = evaluate(hypotheses, [example.reference for example in examples]).as_dict()
    report["exact_match"] = exact(range(len(examples)))
    report["sources"], report["constructions"] = {}, {}
    by_source = _group(example.source for example in examples)
    for name, numbers in by_source.items() if len(by_source) > 1 else ():
        part = [hypotheses[n] for n in numbers], [examples[n].reference for n in numbers]
        report["sources"][name] = evaluate(*part, with_ter=False).as_dict() | {"exact_match": exact(numbers)}
    for name, numbers in sorted(_group(example.construction for example in examples).items()):
        report["constructions"][name] = {"num_examples": len(numbers), "exact_match": exact(numbers)}
    return report


def _group(names: Iterable[str | None]) -> dict[str, list[int]]:
    """The places of each name; None has none."""
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if name is not None:
            groups.setdefault(name, []).append(number)
    return groups


def _as_table(report: dict[str, Any]) -> str:
    lines = [f"{report['num_examples']:,} pairs"]
    for name in ("BLEU", "chrF", "TER"):
        metric = report[name.lower()]
        lines.append(f"{name:<6} {metric['score']:6.2f}  {metric['signature']}")
    lines.append(f"{'exact':<6} {report['exact_match']:6.2f}  % of translations")
    if report["sources"]:
        width = max(map(len, report["sources"]))
        lines += ["", f"{'source':<{width}}  pairs    BLEU    chrF  exact %"]
        lines += [
            f"{name:<{width}}  {part['num_examples']:5}  {part['bleu']['score']:6.2f}  {part['chrf']['score']:6.2f}"
            f"  {part['exact_match']:7.2f}"
            for name, part in report["sources"].items()
        ]
    if report["constructions"]:
        width = max(map(len, [*report["constructions"], "construction"]))
        lines += ["", f"{'construction':<{width}}  pairs  exact %"]
        lines += [
            f"{name:<{width}}  {part['num_examples']:5}  {part['exact_match']:7.2f}"
            for name, part in report["constructions"].items()
        ]
    return "\n".join(lines)
