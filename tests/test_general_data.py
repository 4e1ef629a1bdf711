"""scripts/general_data.py: which pairs are held out, chosen and dropped."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts import general_data


def _write(path: Path, rows: list[tuple[str, str, str]], with_source: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    french, english, sources = zip(*rows, strict=True)
    columns = {"fr": french, "en": english} | ({"source": sources} if with_source else {})
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    news = [(f"nouvelle {number}", f"news {number}", "wmt-news-dev") for number in range(520)]
    others = [
        ("Il neige.", "It snows.", "tatoeba"),
        ("VALIDEE !", "a sentence of the validation set", "tatoeba"),
        ("un livre sur git", "a book on git", "progit2"),
        ("une loi du Canada", "a law of Canada", "canada-laws"),
        ("Une phrase dont la suite manque en anglais.", "A sentence.", "tatoeba"),
        ("la fin de lEmpire", "the end of the Empire", "tatoeba"),
    ]
    _write(folder / "general/train.parquet", news + others)
    _write(folder / "general/valid.parquet", [("Validée", "validated", "tatoeba")])
    _write(folder / "general/test.parquet", [("essai", "test", "tatoeba"), ("Bonne nuit !", "Sleep well!", "tatoeba")])
    for name in ("train", "valid", "test_2016_flickr"):
        _write(folder / f"multi30k/{name}.parquet", [(f"image {name}", f"picture {name}", "")], with_source=False)
    _write(folder / "prose/prose.parquet", [(f"elfe {number}", f"elf {number}", "wesnoth") for number in range(12_100)])
    _write(folder / "prose/dictionary.parquet", [("chat", "cat", "freedict"), ("un", "one", "numbers")])
    return folder


def test_news_is_held_out_and_nothing_of_it_is_learned(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = data / "mixture"
    monkeypatch.setattr("sys.argv", ["general_data.py", str(data), str(output)])
    general_data.main()
    train = set(general_data.read(output / "train.parquet"))
    news_test = set(general_data.read(output / "news-test.parquet"))
    assert len(news_test) == general_data.NUM_NEWS_TEST
    assert {row[2] for row in news_test} == {"wmt-news-dev"}
    assert not train & news_test
    assert sum(row[2] == "wmt-news-dev" for row in train) == 20
    assert ("image train", "picture train", "multi30k") in train
    assert ("chat", "cat", "freedict") in train
    # A validation sentence in other letters, sources for non-commercial use, and sources of no use are dropped.
    assert not [
        row for row in train if row[0] in ("VALIDEE !", "un livre sur git", "une loi du Canada") or row[2] == "numbers"
    ]
    assert sum(row[2] == "wesnoth" for row in train) == general_data.CAPS["wesnoth"]
    assert not [row for row in train if "suite manque" in row[0] or "lEmpire" in row[0]]
    everyday = {general_data.normalize(row[0]) for row in train if row[2].startswith("everyday-")}
    assert "bonnesoiree" in everyday and "bonnenuit" not in everyday  # which is a test sentence


def test_the_held_out_pairs_do_not_depend_on_the_order_of_the_rows(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for name in ("first", "second"):
        monkeypatch.setattr("sys.argv", ["general_data.py", str(data), str(data / name)])
        general_data.main()
        results.append(list(general_data.read(data / name / "news-test.parquet")))
        train = data / "general/train.parquet"
        pq.write_table(pq.read_table(train).take(list(range(pq.read_metadata(train).num_rows))[::-1]), train)
    assert results[0] == results[1]


def test_a_file_that_is_missing_or_of_another_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("bonjour")
    for name in ("none.parquet", "text.parquet"):
        with pytest.raises(SystemExit, match=rf"{name} must be a readable Parquet file\."):
            general_data.read(tmp_path / name)
