"""The tables of the everyday corpus: two clean columns, no pair twice, the same slots on both sides."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from corpora.everyday.phrases import THEMES, courtesies, phrases
from corpora.everyday.slots import SLOT, SLOTS

LEXICON = Path(__file__).parents[3] / "corpora" / "everyday" / "lexicon"
TABLES = sorted(path.relative_to(LEXICON).as_posix() for path in LEXICON.rglob("*.tsv"))


@pytest.mark.parametrize("table", TABLES)
def test_lines_of_a_table_have_two_cells_without_outer_blanks(table: str) -> None:
    header, *lines = (LEXICON / table).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert header == "# fr\ten"
    for line in lines:
        cells = line.split("\t")
        assert len(cells) == 2, line
        assert all(cell and cell == cell.strip() and "  " not in cell and "’" not in cell for cell in cells), line


def test_no_phrase_is_listed_twice() -> None:
    french = Counter(pair[0].casefold() for rows in (courtesies(), *map(phrases, THEMES)) for pair in rows)
    assert [phrase for phrase, count in french.items() if count > 1] == []


def test_there_are_thousands_of_phrases() -> None:
    assert sum(len(phrases(theme)) for theme in THEMES) > 2500


@pytest.mark.parametrize("theme", THEMES)
def test_phrases_have_known_slots_which_are_the_same_on_both_sides(theme: str) -> None:
    for french, english in phrases(theme):
        assert sorted(SLOT.findall(french)) == sorted(SLOT.findall(english)), french
        assert {family for _, family in SLOT.findall(french)} <= set(SLOTS), french


@pytest.mark.parametrize("theme", THEMES)
def test_phrases_are_capitalized_and_end_without_the_mark_that_the_generator_adds(theme: str) -> None:
    for french, english in phrases(theme):
        assert not french.endswith((".", "!", "?")), french
        assert not english.endswith(".") or english.endswith(".m."), english
        assert french.startswith("{") or not french[0].islower(), french
        assert english.startswith("{") or not english[0].islower(), english
