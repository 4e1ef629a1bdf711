"""The Parquet files that are installed with the package."""

from __future__ import annotations

from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

from corpora import phrasebook
from corpora.write import NAMES, phrasebook_table, table_of, write
from translator.data.embedded import embedded_file

MAX_BYTES = 6_000_000


@pytest.mark.parametrize("name", [name for name in NAMES if name != "phrasebook-train"])
def test_shipped_file_equals_what_the_generator_writes(name: str) -> None:
    corpus, split = name.split("-")
    assert pq.read_table(embedded_file(corpus, split)).equals(table_of(name))


def test_shipped_training_pairs_equal_what_the_generator_writes() -> None:
    """All sentences, and the alignments of the first 3,000, which take longer."""
    shipped, pairs = pq.read_table(embedded_file("phrasebook", "train")), phrasebook.generate("train")
    assert shipped["fr"].to_pylist() == [pair.french for pair in pairs]
    assert shipped["en"].to_pylist() == [pair.english for pair in pairs]
    assert shipped["construction"].to_pylist() == [pair.construction for pair in pairs]
    assert shipped.slice(0, 3000).equals(phrasebook_table(pairs[:3000]))


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = write("sentiment-valid", tmp_path), write("sentiment-valid", tmp_path / "again")
    assert first.read_bytes() == second.read_bytes()
    assert pq.read_table(first).equals(pq.read_table(embedded_file("sentiment", "valid")))


def test_shipped_files_are_small() -> None:
    files = list(embedded_file("phrasebook", "train").parent.glob("*.parquet"))
    assert {path.stem for path in files} == set(NAMES)
    assert sum(path.stat().st_size for path in files) < MAX_BYTES


def test_shipped_files_load_with_datasets(tmp_path: Path) -> None:
    paths = {split: str(embedded_file("phrasebook", split)) for split in ("valid", "compositional")}
    loaded = datasets.load_dataset("parquet", data_files=paths, cache_dir=str(tmp_path))
    assert loaded["valid"].num_rows == 1000 and loaded["compositional"].num_rows == 2000
    assert {"fr", "en", "construction"} <= set(loaded["valid"].column_names)
