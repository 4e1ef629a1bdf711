"""Survey of the sources of a configuration: formats, lengths, languages, duplicates, and test rows seen in training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from translator.config import DataConfig, Form, Source
from translator.data.cleaning import UNDECODABLE, SourceReport
from translator.data.files import DataError, Row
from translator.data.languages import LanguageReport, has_identifier, identify_languages, known_languages
from translator.data.sources import describe, identity, open_source
from translator.data.text import CleanText
from translator.errors import shorten
from translator.file_input import UnsupportedTextError, text_format

SAMPLE = 1000  # rows of a source whose lengths and languages are measured
_ROWS_AT_ONCE = 1 << 14
_SURROGATES = re.compile("[\ud800-\udfff]")
_TEXT_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".txt")

_MIN_JUDGED = 20  # rows that a statement about the languages of a source needs
_MAX_FOREIGN = 0.005  # fraction of rows in the other language without a warning
_MANY = 0.1  # fraction of rows from which a fault of a source is a problem


@dataclass(frozen=True)
class Finding:
    """A fault in data or configuration.

    Attributes:
        text: the fault, and how to correct it.
        is_problem: whether training should not start before it is corrected; otherwise it is a warning.
    """

    text: str
    is_problem: bool


@dataclass(frozen=True)
class SourceSurvey:
    """Statistics of one source.

    Attributes:
        part: key of `data` that names the source: `train`, `valid` or `test`.
        name: description of the source.
        rows: number of rows, for training after cleaning.
        formats: encoding and compression of its text files; empty for other kinds of sources.
        lengths: median and 95th percentile of the characters of each text, in a sample.
        languages: languages in the sample; None if they were not identified.
        undecodable: number of rows with bytes that are not valid text.
        duplicates: number of rows that repeat an earlier one; 0 for training, where cleaning counts them.
        sample: rows of the sample.
    """

    part: str
    name: str
    rows: int
    formats: tuple[str, ...]
    lengths: tuple[tuple[int, int], ...]
    languages: LanguageReport | None
    undecodable: int
    duplicates: int
    sample: tuple[Row, ...]


def survey_training(text: CleanText, data: DataConfig, form: Form, size: int = SAMPLE) -> list[SourceSurvey]:
    """Survey the sources of training by a sample of at most `size` of the cleaned rows of each."""
    surveys = []
    stop = 0
    for source, report in zip(data.train, text.report, strict=True):
        start, stop = stop, stop + report.kept
        numbers = text.kept(slice(start, stop, max(1, report.kept // size)))[:size]
        sample = list(zip(*text.take(numbers)[:2], strict=True))  # without alignments
        undecodable = report.dropped.get(UNDECODABLE, 0)
        surveys.append(_survey("train", source, report.kept, sample, data, form, undecodable, 0))
    return surveys


def survey_streams(
    samples: Sequence[Sequence[Row]],
    reports: Sequence[SourceReport],
    data: DataConfig,
    form: Form,
    size: int = SAMPLE,
) -> list[SourceSurvey]:
    """Survey streams of training by their first rows.

    Args:
        samples: first cleaned rows of each source.
        reports: cleaning reports of the rows that were read for them.
        data: languages and cache.
        form: form of a row.
        size: maximum number of rows of a sample that is measured.
    """
    return [
        _survey(
            "train",
            source,
            len(rows),
            [row[:2] for row in rows[:: max(1, len(rows) // size)][:size]],  # without alignments
            data,
            form,
            report.dropped.get(UNDECODABLE, 0),
            0,
        )
        for source, rows, report in zip(data.train, samples, reports, strict=True)
    ]


def survey_held_out(
    part: str, source: Source, rows: Sequence[Row], data: DataConfig, form: Form, size: int = SAMPLE
) -> SourceSurvey:
    """Survey a source of validation or test data.

    Args:
        part: `valid` or `test`.
        source: the source.
        rows: its rows as `held_out_rows` returns them.
        data: languages and cache.
        form: form of a row.
        size: maximum number of rows of the sample.
    """
    undecodable = sum(any(_SURROGATES.search(text) for text in row) for row in rows)
    sample = rows[:: max(1, len(rows) // size)][:size]
    return _survey(part, source, len(rows), sample, data, form, undecodable, len(rows) - len(set(rows)))


def held_out_rows(source: Source, data: DataConfig, form: Form) -> list[Row]:
    """Return the rows of a source, with lone surrogates for bytes that are not valid text.

    Raises:
        DataError: if the source cannot be read.
    """
    return list(open_source(source, data, form))


def find_overlap(texts: Iterable[str], parts: Sequence[Sequence[Row]]) -> list[int]:
    """Return, for each part, the number of its rows whose first text also occurs in training.

    Case and white space are ignored.

    Args:
        texts: the first text of each training row.
        parts: rows of held-out data.
    """
    keys = [[_key(row[0]) for row in rows] for rows in parts]
    wanted = {key for part in keys for key in part}
    found: set[str] = set()
    for text in texts:
        key = _key(text)
        if key in wanted:
            found.add(key)
    return [sum(key in found for key in part) for part in keys]


def judge_source(survey: SourceSurvey, data: DataConfig) -> list[Finding]:
    """Return the faults of one source."""
    place = f"data.{survey.part}: {shorten(survey.name)}"
    findings = []
    if survey.undecodable:
        read = survey.rows + (survey.undecodable if survey.part == "train" else 0)
        what = "are left out" if survey.part == "train" else "lose these bytes"
        findings.append(
            Finding(
                f"{place}: {survey.undecodable:,} of {read:,} rows are not valid UTF-8 or UTF-16 and {what}. Convert "
                "the file, for example with iconv -f WINDOWS-1252 -t UTF-8.",
                survey.undecodable > _MANY * read,
            )
        )
    if survey.duplicates:
        findings.append(Finding(f"{place}: {survey.duplicates:,} of {survey.rows:,} rows are duplicates.", False))
    return findings + _judge_languages(place, survey.languages, expected_languages(data))


def judge_overlap(survey: SourceSurvey, overlap: int) -> list[Finding]:
    """Return the fault that rows of a held-out source occur in training, if they do."""
    if not overlap:
        return []
    return [
        Finding(
            f"data.{survey.part}: {shorten(survey.name)}: the source text of {overlap:,} of {survey.rows:,} rows also "
            "occurs in data.train, so that scores are too high. Remove these rows from data.train.",
            overlap > _MANY * survey.rows,
        )
    ]


def file_problem(source: Source, data: DataConfig, form: Form) -> str | None:
    """Return the reason that the text files of a source cannot be read as text; None if they can.

    Raises:
        DataError: if a file is missing.
    """
    for path in _text_files(source, data, form):
        try:
            text_format(path)
        except UnsupportedTextError as error:
            return f"{path}: {error.strerror}."
        except OSError as error:
            raise DataError(f"A source must be a readable file. Received: {path} ({error.strerror}).") from error
    return None


def expected_languages(data: DataConfig) -> tuple[str, ...]:
    """Return the configured languages without regions, `pt` for `pt-BR`; none if data is not parallel."""
    codes = (data.source_language, data.target_language)
    return tuple(re.split("[-_]", code)[0].lower() for code in codes if code is not None)


def _survey(
    part: str,
    source: Source,
    rows: int,
    sample: Sequence[Row],
    data: DataConfig,
    form: Form,
    undecodable: int,
    duplicates: int,
) -> SourceSurvey:
    columns = list(zip(*sample, strict=True))[: 1 if form == "labelled" else None]
    languages = expected_languages(data)[: len(columns)]
    return SourceSurvey(
        part=part,
        name=describe(source),
        rows=rows,
        formats=tuple(dict.fromkeys(text_format(path) for path in _text_files(source, data, form))),
        lengths=tuple(_lengths(column) for column in columns),
        languages=identify_languages(sample, languages) if languages and sample and has_identifier() else None,
        undecodable=undecodable,
        duplicates=duplicates,
        sample=tuple(sample),
    )


def _lengths(texts: Sequence[str]) -> tuple[int, int]:
    median, high = np.percentile([len(text) for text in texts], (50, 95))
    return round(median), round(high)


def _text_files(source: Source, data: DataConfig, form: Form) -> list[Path]:
    """Return the local text files of a source; none for hub data sets, embedded corpora and Parquet files."""
    if source.hub or source.phrasebook or source.sentiment:
        return []
    paths = [Path(name) for name, _, _ in identity(source, data, form)["files"]]
    return [path for path in paths if source.text or any(s.lower() in _TEXT_SUFFIXES for s in path.suffixes)]


def training_texts(text: CleanText, max_rows: int | None = None) -> Iterator[str]:
    """Yield the first text of each kept row, or of at most `max_rows` from the beginning."""
    count = len(text) if max_rows is None else min(len(text), max_rows)
    for start in range(0, count, _ROWS_AT_ONCE):
        yield from text.take(text.kept(slice(start, min(start + _ROWS_AT_ONCE, count))))[0]


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()


def _judge_languages(place: str, report: LanguageReport | None, expected: Sequence[str]) -> list[Finding]:
    if report is None or report.rows < _MIN_JUDGED:
        return []
    if len(expected) == 2 and report.common == (expected[1], expected[0]):
        return [
            Finding(
                f"{place}: the columns are swapped: {report.common[0]} where {expected[0]} is expected. "
                "Exchange source_column and target_column.",
                True,
            )
        ]
    findings = [
        Finding(
            f"{place}: the {side} text is expected to be {wanted}, and most of it appears to be {common}. "
            f"Correct data.{side}_language or {side}_column.",
            True,
        )
        for side, wanted, common in zip(("source", "target"), expected, report.common, strict=False)
        if common != wanted and wanted in known_languages()
    ]
    if report.foreign > _MAX_FOREIGN * report.rows and not findings:
        assert report.example is not None
        findings.append(
            Finding(
                f"{place}: in {report.foreign / report.rows:.1%} of the rows of a sample a text is in the other "
                f"language, in {report.swapped / report.rows:.1%} both are. For example: "
                f"{' | '.join(shorten(text, 60) for text in report.example)}",
                report.foreign > _MANY * report.rows,
            )
        )
    return findings
