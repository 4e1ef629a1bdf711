"""The survey of sources: each fault is found, and text without faults has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_up import data_config, write_text

from translator.config import DataConfig, Source
from translator.data.sources import read_rows
from translator.data.survey import (
    Finding,
    SourceSurvey,
    file_problem,
    find_overlap,
    held_out_rows,
    judge_overlap,
    judge_source,
    survey_held_out,
    survey_training,
    training_texts,
)
from translator.data.text import CleanText, clean_text

PHRASEBOOK = list(
    read_rows([Source(phrasebook="test")], DataConfig(source_language="fr", target_language="en", train="x"), "pairs")
)[:400]
GERMAN = "Der kleine Hund schläft heute Nacht nicht in der Küche, Nummer {}."
Pairs = Sequence[tuple[str, ...]]


def train(folder: Path, pairs: Pairs, **options: Any) -> tuple[CleanText, DataConfig]:
    data = data_config(folder / "cache", write_text(folder, pairs), **options)  # type: ignore[arg-type]
    return clean_text(data.train, data, "pairs", lambda line: None), data


def findings(folder: Path, pairs: Pairs, **options: Any) -> list[Finding]:
    text, data = train(folder, pairs, **options)
    return [finding for survey in survey_training(text, data, "pairs") for finding in judge_source(survey, data)]


def held_out(folder: Path, pairs: Pairs) -> tuple[SourceSurvey, DataConfig]:
    data = data_config(folder / "cache", write_text(folder, pairs, "test"))  # type: ignore[arg-type]
    rows = held_out_rows(data.train[0], data, "pairs")
    return survey_held_out("test", data.train[0], rows, data, "pairs"), data


def test_text_without_faults_has_no_findings(tmp_path: Path) -> None:
    assert findings(tmp_path, PHRASEBOOK) == []


def test_a_survey_measures_rows_formats_and_lengths(tmp_path: Path) -> None:
    text, data = train(tmp_path, [*PHRASEBOOK, ("", "empty")])
    (survey,) = survey_training(text, data, "pairs")
    assert (survey.part, survey.rows, survey.formats) == ("train", 400, ("UTF-8",))
    lengths = sorted(len(source) for source, _ in PHRASEBOOK)
    assert survey.lengths[0][0] == pytest.approx(lengths[200], abs=1)
    assert survey.lengths[0][1] == pytest.approx(lengths[380], abs=1)
    assert survey.languages is not None
    assert survey.languages.common == ("fr", "en")


def test_each_source_is_judged_by_its_own_rows(tmp_path: Path) -> None:
    german = [(GERMAN.format(number), english) for number, (_, english) in enumerate(PHRASEBOOK[:100])]
    sources = [write_text(tmp_path, PHRASEBOOK, "good"), write_text(tmp_path, german, "german")]  # type: ignore[arg-type]
    data = data_config(tmp_path / "cache", *sources)
    surveys = survey_training(clean_text(data.train, data, "pairs", lambda line: None), data, "pairs")
    assert [len(judge_source(survey, data)) for survey in surveys] == [0, 1]
    (finding,) = judge_source(surveys[1], data)
    assert finding.is_problem
    assert "the source text is expected to be fr, and most of it appears to be de" in finding.text


def test_swapped_columns_are_a_problem(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, [(english, french) for french, english in PHRASEBOOK])
    assert finding.is_problem
    assert "the columns are swapped" in finding.text


@pytest.mark.parametrize(("every", "is_problem"), [(4, True), (40, False)])
def test_rows_in_the_other_language_are_counted(tmp_path: Path, every: int, is_problem: bool) -> None:
    mixed = [
        (english, french) if number % every == 0 else (french, english)
        for number, (french, english) in enumerate(PHRASEBOOK)
    ]
    (finding,) = findings(tmp_path, mixed)
    assert finding.is_problem is is_problem
    assert "a text is in the other language" in finding.text


def test_languages_with_a_region_are_known_and_unknown_ones_are_not_judged(tmp_path: Path) -> None:
    for number, code in enumerate(("fr-CA", "tlh")):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = data_config(folder / "cache", write_text(folder, PHRASEBOOK))  # type: ignore[arg-type]
        data = data.model_copy(update={"source_language": code})
        (survey,) = survey_training(clean_text(data.train, data, "pairs", lambda line: None), data, "pairs")
        assert judge_source(survey, data) == []


@pytest.mark.parametrize(("count", "is_problem"), [(1, False), (100, True)])
def test_undecodable_rows_are_counted_and_many_are_a_problem(tmp_path: Path, count: int, is_problem: bool) -> None:
    source = write_text(tmp_path, PHRASEBOOK[:200])  # type: ignore[arg-type]
    for side, word in (("source", b"caf\xe9"), ("target", b"coffee")):
        with Path(source["text"][side]).open("ab") as file:
            file.writelines(b"%b %d\n" % (word, number) for number in range(count))
    data = data_config(tmp_path / "cache", source)
    (survey,) = survey_training(clean_text(data.train, data, "pairs", lambda line: None), data, "pairs")
    (finding,) = judge_source(survey, data)
    assert f"{count} of {200 + count} rows are not valid UTF-8 or UTF-16 and are left out" in finding.text
    assert finding.is_problem is is_problem
    rows = held_out_rows(data.train[0], data, "pairs")
    (finding,) = judge_source(survey_held_out("valid", data.train[0], rows, data, "pairs"), data)
    assert f"data.valid: {source['text']['source']}" in finding.text
    assert f"{count} of {200 + count} rows are not valid UTF-8 or UTF-16 and lose these bytes" in finding.text


def test_duplicates_of_held_out_rows_are_counted(tmp_path: Path) -> None:
    survey, data = held_out(tmp_path, PHRASEBOOK + PHRASEBOOK[:3])
    assert [finding.text.split(": ")[-1] for finding in judge_source(survey, data)] == ["3 of 403 rows are duplicates."]


def test_held_out_rows_in_training_are_found_whatever_their_case_and_spaces(tmp_path: Path) -> None:
    text, _ = train(tmp_path, PHRASEBOOK[:200])
    test = [(f" {PHRASEBOOK[5][0].upper()}  ", "other translation"), PHRASEBOOK[7], PHRASEBOOK[300]]
    assert find_overlap(training_texts(text), [test, PHRASEBOOK[200:], []]) == [2, 0, 0]
    assert find_overlap(training_texts(text, 6), [test]) == [1]


@pytest.mark.parametrize(("count", "is_problem"), [(1, False), (41, True)])
def test_overlap_is_a_warning_and_much_overlap_a_problem(tmp_path: Path, count: int, is_problem: bool) -> None:
    survey, _ = held_out(tmp_path, PHRASEBOOK)
    (finding,) = judge_overlap(survey, count)
    assert f"the source text of {count} of 400 rows also occurs in data.train" in finding.text
    assert finding.is_problem is is_problem
    assert judge_overlap(survey, 0) == []


def test_utf_16_is_named_and_without_a_byte_order_mark_is_a_problem(tmp_path: Path) -> None:
    lines = "".join(f"{french}\t{english}\n" for french, english in [("fr", "en"), *PHRASEBOOK])
    path = tmp_path / "train.tsv"
    data = data_config(tmp_path / "cache", {"file": str(path)})
    path.write_bytes(lines.encode("utf-16"))
    assert file_problem(data.train[0], data, "pairs") is None
    (survey,) = survey_training(clean_text(data.train, data, "pairs", lambda line: None), data, "pairs")
    assert survey.formats == ("UTF-16",)
    path.write_bytes(lines.encode("utf-16-le"))
    assert f"{path}: binary data or UTF-16 text without a byte order mark" in str(
        file_problem(data.train[0], data, "pairs")
    )
