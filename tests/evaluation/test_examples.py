from __future__ import annotations

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from translator.config import DataConfig, parse_sources
from translator.data.files import DataError
from translator.evaluation import EvaluationError
from translator.evaluation.examples import indices_by, indices_by_group, indices_by_source, read_examples

ROWS = [("oui", "yes", "short", "yeah"), ("non", "no", "short", ""), ("peut-être", "maybe", "long", "perhaps")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "test.tsv"
    path.write_text("fr\ten\tsize\ten2\n" + "".join("\t".join(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture
def data(path: Path) -> DataConfig:
    return DataConfig(source_language="fr", target_language="en", train=parse_sources(str(path)))


def test_examples_have_their_group_and_references(path: Path, data: DataConfig, tmp_path: Path) -> None:
    (tmp_path / "third").write_bytes(b"oh yes\nno\xff\n\n")
    found = read_examples(
        data.train, data, by="size", reference_columns=["en2"], reference_files=[str(tmp_path / "third")]
    )
    assert [example.row for example in found] == [row[:2] for row in ROWS]
    assert [example.group for example in found] == ["short", "short", "long"]
    assert [example.further_references for example in found] == [("yeah", "oh yes"), ("", "no\ufffd"), ("perhaps", "")]
    assert {example.source for example in found} == {str(path)}
    assert indices_by_group(found) == {"long": [2], "short": [0, 1]}
    assert indices_by_source(found) == {}


def test_without_a_column_there_are_no_groups(data: DataConfig) -> None:
    found = read_examples(data.train, data)
    assert [example.row for example in found] == [row[:2] for row in ROWS]
    assert indices_by_group(found) == {}


def test_rows_are_chosen_and_grouped_by_different_columns(path: Path, data: DataConfig) -> None:
    sources = parse_sources(f"[{{file: {path}, where: {{size: short}}}}, {{file: {path}, max_examples: 1}}]")
    found = read_examples(sources, data, by="en2")
    assert [(example.row, example.group) for example in found] == [
        (("oui", "yes"), "yeah"),
        (("non", "no"), ""),
        (("oui", "yes"), "yeah"),
    ]
    assert indices_by_source(found) == {f"{path}: short": [0, 1], str(path): [2]}


def test_each_text_of_a_row_has_the_group_of_the_row(path: Path, data: DataConfig) -> None:
    sources = parse_sources(f"{{file: {path}, text_column: [fr, en]}}", "texts")
    found = read_examples(sources, data, "texts", by="size")
    assert [(example.row, example.group) for example in found[-2:]] == [(("peut-être",), "long"), (("maybe",), "long")]


def test_embedded_corpora_have_columns(data: DataConfig) -> None:
    found = read_examples(parse_sources("{phrasebook: test, max_examples: 50}"), data, by="construction")
    assert len(indices_by_group(found)) > 5


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "hub"])
def test_columns_of_integers_and_classes_choose_and_group_rows(kind: str, data: DataConfig, tmp_path: Path) -> None:
    size = ClassLabel(names=["short", "long"])
    features = Features({"fr": Value("string"), "en": Value("string"), "year": Value("int32"), "size": size})
    rows = {"fr": ["un", "deux", "trois"], "en": ["one", "two", "three"], "year": [2020, 2021, 2020], "size": [0, 1, 1]}
    table = Dataset.from_dict(rows, features=features)
    (tmp_path / "folder").mkdir()
    if kind == "jsonl":
        table.to_json(tmp_path / "folder" / "train.jsonl", force_ascii=False)
    else:
        table.to_parquet(tmp_path / "folder" / "train.parquet")
    place = f"hub: {tmp_path}/folder" if kind == "hub" else f"file: {tmp_path}/folder/train.{kind}"
    found = read_examples(parse_sources(f"{{{place}, where: {{year: '2020'}}}}"), data, by="size")
    assert [example.row for example in found] == [("un", "one"), ("trois", "three")]
    assert [example.group for example in found] == (["short", "long"] if kind == "hub" else ["0", "1"])


def test_columns_and_files_that_do_not_fit_are_refused(path: Path, data: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'genre', which is not among fr, en, size, en2"):
        read_examples(data.train, data, by="genre")
    aligned = parse_sources(f"{{text: {{source: {path}, target: {path}}}}}")
    with pytest.raises(DataError, match=r"Column size requires a source with named columns\. Received: .*aligned text"):
        read_examples(aligned, data, by="size")
    with pytest.raises(EvaluationError, match=r"one line per example .* Received: .*test\.tsv with 4 lines, 3 examp"):
        read_examples(data.train, data, reference_files=[str(path)])
    with pytest.raises(EvaluationError, match=r"must be a file that exists\. Received: .*none\."):
        read_examples(data.train, data, reference_files=[str(tmp_path / "none")])


def test_indices_are_in_order_of_first_occurrence() -> None:
    assert list(indices_by(["b", None, "a", "b"]).items()) == [("b", [0, 3]), ("a", [2])]
