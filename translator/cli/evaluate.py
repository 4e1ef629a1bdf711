"""`translator evaluate MODEL`: scores of a model on a test set, by its objective."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from translator.cli.lines import LineError, to_json, write_line
from translator.cli.options import SEARCH_OPTIONS, OptionError, add_engine, add_model, add_search, decoding_changes
from translator.cli.streams import open_input, open_output

if TYPE_CHECKING:
    from translator.config import Config, DataConfig, Form, ObjectiveName, Source
    from translator.evaluation.classification import ClassificationReport
    from translator.evaluation.examples import Example
    from translator.evaluation.perplexity import PerplexityReport
    from translator.evaluation.translation import TranslationReport
    from translator.inference.classifier import Classifier
    from translator.inference.generator import Generator
    from translator.inference.translator import Translator


class Report(Protocol):
    """Scores of a test set."""

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as plain values, for JSON."""

    def as_table(self) -> str:
        """Return the scores as lines of aligned columns."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Score a model on a test set: a translation model by sacreBLEU's BLEU, chrF and TER, a classifier "
        "by its accuracy and a confusion table, a language model by its perplexity."
    )
    add_model(parser)
    add_engine(parser)
    parser.add_argument(
        "--test", metavar="SPEC", help="what data.test takes, as YAML or a path (default: data.test of the model)"
    )
    parser.add_argument("--by", metavar="COLUMN", help="also report scores for each value of this column")
    parser.add_argument(
        "--reference-column",
        action="append",
        default=[],
        metavar="COLUMN",
        help="further references: a column of the test set; may be repeated",
    )
    parser.add_argument(
        "--reference-file",
        action="append",
        default=[],
        metavar="FILE",
        help="further references: a text file with one line per pair of the test set; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="write the scores as one JSON object")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the translations or labels to this file")
    add_search(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load the model, score it and print the scores."""
    from translator.data.files import DataError

    config, model = _load(arguments)
    _require_fitting(arguments, config.training.objective)
    sources = _sources(arguments.test, config)
    try:
        with _open_output(arguments, sources) as output:
            report = _report(arguments, model, config.data, sources, output)
    except DataError as error:
        if arguments.test is None:
            raise LineError(f"{error} The configuration of the model names it as data.test. Give --test.") from error
        raise
    with open_output(None, []) as result:
        write_line(result, to_json(report.as_dict()) if arguments.json else report.as_table())
    return 0


def _load(arguments: argparse.Namespace) -> tuple[Config, Translator | Classifier | Generator]:
    """Return the configuration of the model, and the object that applies the model to texts."""
    from translator.checkpoint.location import find_model
    from translator.inference.classifier import Classifier
    from translator.inference.generator import Generator
    from translator.inference.loading import load_ctranslate2, load_to_decode, uses_ctranslate2
    from translator.inference.translator import Translator

    path = find_model(arguments.model)
    if uses_ctranslate2(path, arguments.engine):
        engine, tokenizers, config = load_ctranslate2(path, arguments.device, arguments.threads, arguments.precision)
        return config, Translator(engine, tokenizers, config.decoding)
    loaded, device = load_to_decode(path, arguments.device, arguments.threads, arguments.precision)
    match loaded.config.training.objective:
        case "classification":
            return loaded.config, Classifier.of(loaded, device)
        case "language_modeling":
            return loaded.config, Generator.of(loaded, device)
        case _:
            return loaded.config, Translator.of(loaded, device)


def _require_fitting(arguments: argparse.Namespace, objective: ObjectiveName) -> None:
    """Raise OptionError if an option does not apply to a model of this objective."""
    translation_only = [*SEARCH_OPTIONS, "reference_column", "reference_file"]
    unused = {
        "classification": translation_only,
        "language_modeling": [*translation_only, "output"],
    }
    for name in unused.get(objective, []):
        value = getattr(arguments, name)
        # False was given if it is the value of a search option (--no-fold-capitals), and is the default of a flag.
        if value is not None and value != [] and (value is not False or name in SEARCH_OPTIONS):
            raise OptionError(f"--{name.replace('_', '-')} does not apply to a model trained for {objective}.")


def _sources(spec: str | None, config: Config) -> tuple[Source, ...]:
    from translator.config import parse_sources

    sources = config.data.test if spec is None else parse_sources(spec, config.form)
    if not sources:
        raise LineError("An evaluation requires a test set, and data.test of the model is empty. Give --test.")
    return sources


@contextmanager
def _open_output(arguments: argparse.Namespace, sources: Sequence[Source]) -> Iterator[BinaryIO | None]:
    """Open --output before the work starts; it must not be a file that is read."""
    if arguments.output is None:
        yield None
        return
    from translator.file_input import expand_user

    names = [source.file for source in sources if source.file]
    names += [name for source in sources if source.text for name in (source.text.source, source.text.target)]
    names += arguments.reference_file
    with ExitStack() as stack:
        read = [stack.enter_context(open_input(name)) for name in names if expand_user(name).is_file()]
        yield stack.enter_context(open_output(arguments.output, read))


def _report(
    arguments: argparse.Namespace,
    model: Translator | Classifier | Generator,
    data: DataConfig,
    sources: Sequence[Source],
    output: BinaryIO | None,
) -> Report:
    """Score the model by its objective and write its translations or labels to `output`."""
    from translator.evaluation.examples import read_examples
    from translator.inference.classifier import Classifier
    from translator.inference.generator import Generator

    def read(form: Form) -> list[Example]:
        """Read the test set in the form that the objective requires."""
        return read_examples(
            sources,
            data,
            form,
            by=arguments.by,
            reference_columns=arguments.reference_column,
            reference_files=arguments.reference_file,
        )

    if isinstance(model, Classifier):
        return _classification_report(arguments, model, read("labelled"), output)
    if isinstance(model, Generator):
        return _perplexity_report(arguments, model, read("texts"))
    return _translation_report(arguments, model, read("pairs"), output)


def _translation_report(
    arguments: argparse.Namespace, translator: Translator, examples: Sequence[Example], output: BinaryIO | None
) -> TranslationReport:
    from tqdm import tqdm

    from translator.evaluation.translation import score_translations, translate_texts

    texts = [example.row[0] for example in examples]
    start = time.perf_counter()
    with tqdm(total=len(texts), unit=" sentences", disable=None, leave=False) as progress:
        hypotheses = translate_texts(translator, texts, decoding_changes(arguments), progress.update)
    seconds = time.perf_counter() - start
    print(f"{len(texts):,} sentences in {seconds:.1f} s, {len(texts) / seconds:.1f} per second", file=sys.stderr)
    _write_lines(output, hypotheses)
    return score_translations(hypotheses, examples, by=arguments.by)


def _classification_report(
    arguments: argparse.Namespace, classifier: Classifier, examples: Sequence[Example], output: BinaryIO | None
) -> ClassificationReport:
    from translator.evaluation.classification import report_labels, require_known_labels

    require_known_labels([example.row[1] for example in examples], classifier.labels)  # before the work starts
    labels = [found.label for found in classifier.classify([example.row[0] for example in examples])]
    _write_lines(output, labels)
    return report_labels(labels, examples, classifier.labels, by=arguments.by)


def _perplexity_report(
    arguments: argparse.Namespace, generator: Generator, examples: Sequence[Example]
) -> PerplexityReport:
    from translator.evaluation.perplexity import report_perplexity

    texts = [example.row[0] for example in examples]
    log_probabilities = generator.token_log_probabilities(texts)
    return report_perplexity(log_probabilities, examples, by=arguments.by)


def _write_lines(output: BinaryIO | None, lines: Sequence[str]) -> None:
    if output is not None:
        for line in lines:
            write_line(output, line)
