"""Checks of the data of a run: `translator check` in full, `translator train` with small samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from translator.config import Config, Source
from translator.data.cleaning import SourceReport, aligned, shortened, table
from translator.data.downloads import is_url
from translator.data.files import DataError, Row
from translator.data.languages import has_identifier
from translator.data.streaming import stream_samples
from translator.data.survey import (
    SAMPLE,
    Finding,
    SourceSurvey,
    expected_languages,
    file_problem,
    find_overlap,
    held_out_rows,
    judge_overlap,
    judge_source,
    survey_held_out,
    survey_streams,
    survey_training,
    training_texts,
)
from translator.data.text import clean_text
from translator.errors import UserError

_SMALL_SAMPLE = 200
_STREAM_SAMPLE = 10_000  # rows of each source
_MAX_SCANNED_ROWS = 200_000  # training rows that are compared with held-out rows


@dataclass
class DataReport:
    """Findings and statistics of the sources of a run.

    Attributes:
        findings: faults, in the order of the sources.
        train: cleaning report of each source of training, for a stream that of its first rows; None if a source
            cannot be read.
        surveys: statistics of the sources that can be read: training, validation, test.
        overlaps: for each survey, the number of its rows that also occur in training; None for training.
    """

    findings: list[Finding] = field(default_factory=list)
    train: tuple[SourceReport, ...] | None = None
    surveys: list[SourceSurvey] = field(default_factory=list)
    overlaps: list[int | None] = field(default_factory=list)

    @property
    def is_readable(self) -> bool:
        """True if all sources of training can be read."""
        return self.train is not None

    def lines(self, config: Config) -> list[str]:
        """Return the report as lines of text, without the findings."""
        if self.train is None:
            return []
        rows = [["data", "rows", "format", "characters (median, 95 %)", "languages", "duplicates", "in train"]]
        rows += [_cells(*pair) for pair in zip(self.surveys, self.overlaps, strict=True)]
        lines = [*table(self.train).splitlines(), *aligned(rows)]
        if expected_languages(config.data) and not has_identifier():
            lines.append("Languages were not identified. Install py3langid: pip install 'translator[check]'")
        return lines


def check_data(config: Config, say: Callable[[str], None], *, is_cheap: bool = False) -> DataReport:
    """Read and survey all sources of a configuration.

    Args:
        config: configuration of the run.
        say: function that shows progress.
        is_cheap: use small samples, compare only the first training rows with held-out rows, and leave out held-out
            sources that may have to be downloaded.
    """
    data, form = config.data, config.form
    size = _SMALL_SAMPLE if is_cheap else SAMPLE
    report = DataReport()
    parts: dict[str, tuple[Source, ...]] = {"train": data.train, "valid": data.valid, "test": data.test}
    readable: list[tuple[str, Source, list[Row]]] = []
    for part, sources in parts.items():
        for number, source in enumerate(sources):
            if is_cheap and part != "train" and _is_remote(source):
                continue
            try:
                problem = file_problem(source, data, form)
                if problem is not None:
                    raise DataError(problem)
                readable.append((part, source, held_out_rows(source, data, form) if part != "train" else []))
            except UserError as error:
                report.findings.append(Finding(f"data.{part}.{number}: {error}", True))
    if not data.train or sum(part == "train" for part, _, _ in readable) < len(data.train):
        return report
    held_out = [entry for entry in readable if entry[0] != "train"]
    try:
        if data.is_streamed:
            report.train, samples = stream_samples(data, config.train_form, _STREAM_SAMPLE)
            report.surveys = survey_streams(samples, report.train, data, form, size)
            texts: Iterable[str] = (row[0] for rows in samples for row in rows)
        else:
            text = clean_text(data.train, data, config.train_form, say)
            report.train = text.report
            report.surveys = survey_training(text, data, form, size)
            texts = training_texts(text, _MAX_SCANNED_ROWS if is_cheap else None)
    except UserError as error:
        report.findings.append(Finding(f"data.train: {error}", True))
        return report
    report.surveys += [survey_held_out(part, source, rows, data, form, size) for part, source, rows in held_out]
    overlaps = find_overlap(texts, [rows for _, _, rows in held_out])
    report.overlaps = [*(None for _ in data.train), *overlaps]
    for survey, overlap in zip(report.surveys, report.overlaps, strict=True):
        report.findings += [*judge_source(survey, data), *judge_overlap(survey, overlap or 0)]
    return report


def _is_remote(source: Source) -> bool:
    places = [source.file or ""] if source.text is None else [source.text.source, source.text.target]
    return source.hub is not None or any(map(is_url, places))


def _cells(survey: SourceSurvey, overlap: int | None) -> list[str]:
    report = survey.languages
    return [
        f"{survey.part} {shortened(survey.name)}",
        f"{survey.rows:,}",
        " ".join(survey.formats) or "-",
        " / ".join(f"{median} {high}" for median, high in survey.lengths),
        " ".join(language or "?" for language in report.common) if report is not None else "-",
        f"{survey.duplicates:,}" if survey.part != "train" else "-",
        f"{overlap:,}" if overlap is not None else "-",
    ]
