from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up import data_config

from translator.config import Source
from translator.data.corpus import DataError, read_pairs
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
    return list(read_pairs(data.train, data))


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


def test_the_phrasebook_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("translator.data.phrasebook")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "__init__.py").write_text("")
    fake.__file__ = str(tmp_path / "book" / "__init__.py")
    fake.load = lambda split: datasets.Dataset.from_dict(  # type: ignore[attr-defined]
        {"fr": [f"{split} un"], "en": ["one"], "construction": ["number"]}
    )
    monkeypatch.setitem(sys.modules, "translator.data.phrasebook", fake)
    monkeypatch.setattr("translator.data.phrasebook", fake, raising=False)
    assert read(tmp_path, {"phrasebook": "valid"}) == [("valid un", "one")]
    data = data_config(tmp_path, {"phrasebook": "valid"})
    before = identity(data.train[0], data)
    (tmp_path / "book" / "lexicon.tsv").write_text("chat\tcat\n")
    assert identity(data.train[0], data) != before


def test_the_identity_of_a_source_follows_its_files(tmp_path: Path, hub_folder: Path) -> None:
    data = data_config(tmp_path / "cache", {"hub": str(hub_folder), "subset": "en-fr"})
    before = identity(data.train[0], data)
    assert identity(data.train[0], data) == before
    pq.write_table(pa.table({"fr": ["a"], "en": ["b"]}), hub_folder / "en-fr" / "train-00000-of-00001.parquet")
    assert identity(data.train[0], data) != before


def test_a_hub_that_cannot_be_asked_is_taken_to_serve_what_it_did(
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
    assert [pair[0] for pair in read_pairs(data.train, data)] == ["f0", "f2", "f3", "f5", "f6"]
    assert describe(data.train[0]) == f"{path}: news, talk"


def test_where_that_chooses_nothing_or_asks_an_absent_column_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("fr,en,source\na,b,news\n")
    data = data_config(tmp_path / "cache", {"file": str(path), "where": {"source": "law"}})
    with pytest.raises(DataError, match=r"which holds none where {'source': \('law',\)}"):
        list(read_pairs(data.train, data))
    data = data_config(tmp_path / "cache", {"file": str(path), "where": {"domain": "law"}})
    with pytest.raises(DataError, match=r"Received: 'domain', which is not among fr, en, source"):
        list(read_pairs(data.train, data))


def test_where_needs_named_columns() -> None:
    with pytest.raises(ValueError, match="where needs a source with named columns"):
        Source.model_validate({"text": {"source": "a", "target": "b"}, "where": {"x": "y"}})
