"""`translator translate MODEL`: translate lines one by one, or documents."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from translator.cli.documents import find_document, run_documents
from translator.cli.filtering import BYTES_NOTICE, SPLIT_NOTICE, add_filter, hypothesis_json, run_filter
from translator.cli.lines import LineError, to_json, write_line
from translator.cli.options import (
    add_decoding,
    add_engine,
    add_model,
    add_search,
    add_terms,
    decoding_changes,
    load_translator,
)
from translator.config.decoding import SAMPLING_FIELDS
from translator.documents.formats import SUFFIXES
from translator.errors import shorten

if TYPE_CHECKING:
    from translator.config import DecodingChanges
    from translator.inference.results import Hypothesis, Translation
    from translator.inference.translator import Translator

_NOTICES = {
    "invalid_bytes": BYTES_NOTICE,
    "split": SPLIT_NOTICE,
    "pieces": "{} lost protected text; what is around it was translated in pieces.",
    "truncated": "{} reached the maximum length and may be incomplete; raise --max-length-factor.",
}

# Keys of what is counted besides flags.
_LINE, _FAILED, _REPAIRED = "guard:line", "guard:failed", "guard:repaired"
_FAILURE, _STEP = "guard:failure:", "guard:step:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Translate standard input to standard output, line by line, or the sentences given as arguments, or one "
        f"document ({', '.join(SUFFIXES)})."
    )
    add_model(parser)
    add_engine(parser)
    parser.add_argument(
        "--ensemble",
        action="append",
        default=[],
        metavar="MODEL",
        help="further model with the same vocabulary, whose probabilities are averaged with the first; may be repeated",
    )
    add_filter(parser, "SENTENCE", "translate")
    parser.add_argument(
        "--n-best",
        dest="num_hypotheses",
        type=int,
        metavar="N",
        help="write N translations as `line ||| text ||| score`",
    )
    parser.add_argument(
        "--document",
        action="store_true",
        help="translate plain text as a document: join wrapped lines, split sentences, keep paragraphs, lists and "
        "blank lines; or an --input that is a document of another format",
    )
    parser.add_argument(
        "--target-prefix",
        action="store_true",
        help="read lines as `source<TAB>prefix`: a text, and what its translation must begin with",
    )
    parser.add_argument(
        "--format",
        choices=("text", "xml", "html"),
        default="text",
        help="xml, html: lines have inline tags, which are placed by word alignment (default: %(default)s)",
    )
    add_terms(parser)
    parser.add_argument(
        "--json", action="store_true", help="write one JSON object per line: text, score, tokens, flags, guard"
    )
    add_search(parser)
    add_decoding(parser.add_argument_group("sampling"), ["sample", *SAMPLING_FIELDS])
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Translate all lines, arguments or documents."""
    changes = decoding_changes(arguments)
    document = find_document(arguments)
    summary, status = GuardSummary(), 0
    if arguments.format != "text" and (arguments.target_prefix or arguments.document or document is not None):
        raise LineError("--format is mutually exclusive with --target-prefix and documents. Omit one of them.")
    if arguments.document or document is not None:
        if arguments.json or arguments.num_hypotheses is not None or arguments.target_prefix or arguments.alignment:
            raise LineError(
                "A document is mutually exclusive with --json, --n-best, --target-prefix and --alignment. "
                "Omit one of them."
            )
        load_model = partial(load_translator, arguments)
        status = run_documents(arguments, document, load_model, changes, summary.add, _NOTICES)
    else:
        if arguments.target_prefix and arguments.sentences and not any("\t" in each for each in arguments.sentences):
            raise LineError(
                "--target-prefix takes no value: a sentence must be source<TAB>prefix. "
                f"Received: {shorten(arguments.sentences[0], 60)!r}, without a tab. Write $'source\\tprefix' in bash."
            )

        def load() -> Any:
            """Return a function that translates a batch of lines."""
            translator = load_translator(arguments)
            translate: Any = partial(translator.translate, **changes)
            if arguments.format != "text":
                translate = MarkupLines(translator, changes, is_html=arguments.format == "html")
            return partial(_translate_prefixed, translate) if arguments.target_prefix else translate

        counts = run_filter(
            arguments,
            load,
            lambda output, number, translation: _write(output, number, translation, arguments),
            _NOTICES,
            _keys,
        )
        summary = GuardSummary(counts)
    if summary.num_failed and not arguments.quiet:
        print(f"translator: {summary}", file=sys.stderr)
    return status


class MarkupLines:
    """Translates lines with inline tags; an error says which line it is about.

    Args:
        translator: translates them.
        changes: decoding options.
        is_html: whether the lines are HTML rather than XML.
    """

    def __init__(self, translator: Translator, changes: DecodingChanges, *, is_html: bool) -> None:
        self._translate: Any = partial(translator.translate_markup, html=is_html, **changes)
        self._num_lines = 0

    def __call__(self, lines: Sequence[str]) -> Sequence[Translation]:
        """Translate the next lines."""
        from translator.inference.fragment import MarkupError

        try:
            translations: Sequence[Translation] = self._translate(lines)
        except MarkupError as error:
            raise MarkupError(error.reason, self._num_lines + error.number + 1, "line") from None
        self._num_lines += len(lines)
        return translations


class GuardSummary:
    """Counts of what the guard found and did.

    Args:
        counts: number of translations with each key of `_keys`, to which `add` adds.
    """

    def __init__(self, counts: Counter[str] | None = None) -> None:
        self._counts = Counter[str]() if counts is None else counts

    @property
    def num_failed(self) -> int:
        """Number of translations that had failed."""
        return self._counts[_FAILED]

    def add(self, translation: Translation) -> None:
        """Count one translation."""
        self._counts.update(_keys(translation))

    def __str__(self) -> str:
        """Return the counts on one line."""
        steps = f", by {listed}" if (listed := self._listed(_STEP)) else ""
        return (
            f"The guard found failures in {self.num_failed:,} of {self._counts[_LINE]:,} lines "
            f"({self._listed(_FAILURE)}) and repaired {self._counts[_REPAIRED]:,} of them{steps}. "
            "--no-guard turns it off."
        )

    def _listed(self, prefix: str) -> str:
        counts = [(key.removeprefix(prefix), count) for key, count in self._counts.items() if key.startswith(prefix)]
        return ", ".join(f"{name} {count:,}" for name, count in sorted(counts, key=lambda each: (-each[1], each[0])))


def _keys(translation: Translation) -> Iterator[str]:
    """Yield the keys under which a translation is counted: its flags, and failures and repairs of the guard."""
    yield from translation.flags
    yield _LINE
    repair = translation.repair
    if repair is not None and repair.failures:
        yield _FAILED
        if not repair.remaining:
            yield _REPAIRED
        yield from (_FAILURE + kind for kind in repair.failures)
        yield from (_STEP + step for step in repair.steps)


def _translate_prefixed(translate: Any, lines: Sequence[str]) -> Any:
    """Translate lines of source, tab and prefix; a line without a tab has no prefix."""
    pairs = [line.split("\t") for line in lines]
    for line, columns in zip(lines, pairs, strict=True):
        if len(columns) > 2:
            raise LineError(
                "With --target-prefix a line must be source<TAB>prefix. "
                f"Received: {len(columns) - 1} tabs in {shorten(line, 60)}. Replace the others by spaces."
            )
    return translate([columns[0] for columns in pairs], target_prefix=["".join(columns[1:]) for columns in pairs])


def _write(output: BinaryIO, number: int, translation: Translation, arguments: argparse.Namespace) -> None:
    if arguments.json:
        value = hypothesis_json(translation.hypotheses[0]) | {"flags": translation.flags}
        if (repair := translation.repair) is not None:
            value["guard"] = {"failures": repair.failures, "repairs": repair.steps, "remaining": repair.remaining}
        if arguments.num_hypotheses is not None:
            value["hypotheses"] = [hypothesis_json(hypothesis) for hypothesis in translation.hypotheses]
        write_line(output, to_json(value))
    elif arguments.num_hypotheses is not None:
        for hypothesis in translation.hypotheses:
            write_line(
                output, f"{number} ||| {hypothesis.text} ||| {hypothesis.score:.6f}{_links(hypothesis, arguments)}"
            )
    else:
        write_line(output, translation.text + _links(translation.hypotheses[0], arguments))


def _links(hypothesis: Hypothesis, arguments: argparse.Namespace) -> str:
    """Return ` ||| ` and the word alignment in Pharaoh form, if `--alignment` is given."""
    return f" ||| {hypothesis.alignment.pharaoh()}" if arguments.alignment and hypothesis.alignment else ""
