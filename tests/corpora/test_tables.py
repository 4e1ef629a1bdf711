"""The lexica of the embedded corpora."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpora import tables


def test_a_row_that_is_too_wide_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "phrasebook" / "lexicon"
    folder.mkdir(parents=True)
    (folder / "bad.tsv").write_text("# one\ttwo\na\tb\tc\n", encoding="utf-8")
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"bad\.tsv must have at most 2 cells"):
        tables.read_table("phrasebook", "bad")
