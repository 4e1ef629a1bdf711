"""Sources of a configuration: hub, embedded corpora, selection of rows, identity."""

from __future__ import annotations

import csv
import gzip
import io
import json
import types
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up import data_config

from translator.config import Source
from translator.data.corpus import DataError, read_rows
from translator.data.embedded import embedded_file
from translator.data.sources import describe, identity

PAIRS = [(f"phrase {number}", f"sentence {number}") for number in range(2500)]


@pytest.fixture(autouse=True)
def own_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hub-cache"))


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    """A folder as the hub serves opus-100 and wmt14: subsets of Parquet splits with a `translation` column."""
    folder = tmp_path / "opus-100"
    (folder / "en-fr").mkdir(parents=True)
    rows = [{"translation": {"en": target, "fr": source}} for source, target in PAIRS]
    pq.write_table(pa.Table.from_pylist(rows), folder / "en-fr" / "train-00000-of-00001.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:3]), folder / "en-fr" / "test-00000-of-00001.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: en-fr\n  data_files:\n  - split: train\n    path: en-fr/train-*\n"
        "  - split: test\n    path: en-fr/test-*\n---\n"
    )
    return folder


def read(tmp_path: Path, source: dict[str, Any]) -> list[tuple[str, str]]:
    data = data_config(tmp_path / "cache", source)
    return list(read_rows(data.train, data))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_hub_data_set_is_read_from_a_folder_of_the_same_form(
    tmp_path: Path, hub_folder: Path, streaming: bool
) -> None:
    source = {"hub": str(hub_folder), "subset": "en-fr", "streaming": streaming}
    assert read(tmp_path, source) == PAIRS
    assert read(tmp_path, source | {"split": "test"}) == PAIRS[:3]
    assert read(tmp_path, source | {"max_examples": 5}) == PAIRS[:5]


def test_a_wrong_subset_split_or_column_is_one_clear_error(tmp_path: Path, hub_folder: Path) -> None:
    good = {"hub": str(hub_folder), "subset": "en-fr"}
    for wrong, message in (
        ({"subset": "en-xx"}, "must be reachable and have the subset.*en-xx"),
        ({"split": "dev"}, "must be reachable and have the subset.*dev"),
        ({"source_column": "de"}, "'de', which is not among translation, translation.en, translation.fr"),
        ({"hub": str(tmp_path / "nowhere")}, "must be reachable"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path, good | wrong)


def test_a_flat_hub_data_set_without_the_column_names_its_columns(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text(json.dumps({"french": "a", "english": "b"}) + "\n")
    with pytest.raises(DataError, match="'fr', which is not among french, english"):
        read(tmp_path, {"hub": str(tmp_path / "set")})
    renamed = {"hub": str(tmp_path / "set"), "source_column": "french", "target_column": "english"}
    assert read(tmp_path, renamed) == [("a", "b")]


def test_phrasebook_is_read_from_its_installed_file(tmp_path: Path) -> None:
    rows = pq.read_table(embedded_file("phrasebook", "valid")).to_pylist()
    assert read(tmp_path, {"phrasebook": "valid"}) == [(row["fr"], row["en"]) for row in rows]
    chosen = {"phrasebook": "valid", "where": {"construction": ["weather", "job"]}}
    expected = [(row["fr"], row["en"]) for row in rows if row["construction"] in ("weather", "job")]
    assert read(tmp_path, chosen) == expected and 0 < len(expected) < len(rows)


def test_sentiment_is_a_source_of_texts_and_of_labels(tmp_path: Path) -> None:
    rows = pq.read_table(embedded_file("sentiment", "test")).to_pylist()
    data = data_config(tmp_path, {"sentiment": "test"})
    assert list(read_rows(data.train, data, "labelled")) == [(row["text"], row["label"]) for row in rows]
    assert list(read_rows(data.train, data, "texts")) == [(row["text"],) for row in rows]
    assert describe(data.train[0]) == "sentiment test"
    assert identity(data.train[0], data, "texts") != identity(data.train[0], data, "labelled")


def test_identity_of_an_embedded_corpus_follows_content_not_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_config(tmp_path, {"phrasebook": "valid"})
    here = identity(data.train[0], data)
    copy = tmp_path / "phrasebook-valid.parquet"
    copy.write_bytes(embedded_file("phrasebook", "valid").read_bytes())
    monkeypatch.setattr("translator.data.sources.embedded_file", lambda corpus, split: copy)
    assert identity(data.train[0], data) == here
    pq.write_table(pa.table({"fr": ["chat"], "en": ["cat"]}), copy)
    assert identity(data.train[0], data) != here


ODD_TEXTS = [("null", "NA"), ("007", "None"), ('"a', 'b"'), ("nan", ""), ('c"', "1.50"), ("été; hiver", "x")]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["train.tsv", "train.csv", "train.csv.gz", "semicolons.csv"])
def test_a_hub_folder_of_csv_or_tsv_holds_the_texts_that_are_written_in_it(
    tmp_path: Path, name: str, streaming: bool
) -> None:
    (tmp_path / "set").mkdir()
    rows = [("fr", "en"), *ODD_TEXTS]
    if name == "train.tsv":
        content = "".join("\t".join(row) + "\n" for row in rows)
    else:
        written = io.StringIO()
        csv.writer(written, delimiter=";" if "semicolons" in name else ",").writerows(rows)
        content = written.getvalue()
    encoded = content.encode()
    path = tmp_path / "set" / name.replace("semicolons", "train")
    path.write_bytes(gzip.compress(encoded) if name.endswith("gz") else encoded)
    source = {"hub": str(tmp_path / "set"), "streaming": streaming}
    assert read(tmp_path, source) == ODD_TEXTS
    assert read(tmp_path, {"file": str(path)}) == ODD_TEXTS


def test_a_hub_folder_of_csv_files_has_whole_splits_and_whole_rows(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text("fr,en\na,b\nc\n")
    with pytest.raises(DataError, match=r"must have 2 fields\. Received: 1 in row 2"):
        read(tmp_path, {"hub": str(tmp_path / "set")})
    with pytest.raises(DataError, match="CSV data has the splits train; for the beginning of one, set max_examples"):
        read(tmp_path, {"hub": str(tmp_path / "set"), "split": "train[:1]"})
    with pytest.raises(DataError, match=r"'de', which is not among fr, en in .*train\.csv"):
        read(tmp_path, {"hub": str(tmp_path / "set"), "source_column": "de"})


def test_a_hub_folder_that_sets_options_of_pandas_is_read_with_them(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text("# a comment\nfr,en\nNA,null\n")
    (tmp_path / "set" / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: train.csv\n  skiprows: 1\n---\n"
    )
    assert read(tmp_path, {"hub": str(tmp_path / "set")}) == [("NA", "null")]


def test_a_hub_folder_may_have_other_languages_in_each_row(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    features = datasets.Features({"translation": datasets.TranslationVariableLanguages(["en", "fr"])})
    rows = [{"translation": {"en": "cat", "fr": ["chat", "minou"]}}, {"translation": {"en": "dog"}}]
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / "set" / "train.parquet"))
    for source in ({"hub": str(tmp_path / "set")}, {"file": str(tmp_path / "set" / "train.parquet")}):
        assert read(tmp_path, source) == [("chat", "cat"), ("", "dog")]


def test_the_identity_of_a_source_follows_its_files(tmp_path: Path, hub_folder: Path) -> None:
    data = data_config(tmp_path / "cache", {"hub": str(hub_folder), "subset": "en-fr"})
    before = identity(data.train[0], data)
    assert identity(data.train[0], data) == before
    pq.write_table(pa.table({"fr": ["a"], "en": ["b"]}), hub_folder / "en-fr" / "train-00000-of-00001.parquet")
    assert identity(data.train[0], data) != before


def test_the_last_known_commit_is_used_when_the_hub_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OfflineError(Exception):
        pass

    def dataset_info(self: object, name: str, revision: str | None, timeout: float) -> types.SimpleNamespace:
        if is_offline:
            raise OfflineError
        return types.SimpleNamespace(sha="abc123")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", dataset_info)
    data = data_config(tmp_path, {"hub": "some/corpus", "revision": "v1"})
    is_offline = True
    assert identity(data.train[0], data)["commit"] == "v1"
    is_offline = False
    assert identity(data.train[0], data)["commit"] == "abc123"
    is_offline = True
    assert identity(data.train[0], data)["commit"] == "abc123"


@pytest.mark.parametrize("name", ["pairs.parquet", "pairs.jsonl", "pairs.csv"])
def test_where_chooses_rows_by_a_column(tmp_path: Path, name: str) -> None:
    rows = [{"fr": f"f{n}", "en": f"e{n}", "source": ("news", "law", "talk")[n % 3]} for n in range(30)]
    path = tmp_path / name
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text("fr,en,source\n" + "".join(",".join(row.values()) + "\n" for row in rows))
    source = {"file": str(path), "where": {"source": ["news", "talk"]}, "max_examples": 5}
    data = data_config(tmp_path / "cache", source)
    assert [pair[0] for pair in read_rows(data.train, data)] == ["f0", "f2", "f3", "f5", "f6"]
    assert describe(data.train[0]) == f"{path}: news, talk"


def test_where_without_matching_rows_or_with_an_absent_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("fr,en,source\na,b,news\n")
    data = data_config(tmp_path / "cache", {"file": str(path), "where": {"source": "law"}})
    with pytest.raises(DataError, match=r"which holds none where {'source': \('law',\)}"):
        list(read_rows(data.train, data))
    data = data_config(tmp_path / "cache", {"file": str(path), "where": {"domain": "law"}})
    with pytest.raises(DataError, match=r"Received: 'domain', which is not among fr, en, source"):
        list(read_rows(data.train, data))


def test_where_needs_named_columns() -> None:
    with pytest.raises(ValueError, match="where requires a source with named columns"):
        Source.model_validate({"text": {"source": "a", "target": "b"}, "where": {"x": "y"}})
