"""Short everyday pairs: numbers, dates, times, prices, names and courtesies."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpora.everyday import __main__, generate
from corpora.phrasebook.numbers import english_ordinal, french_number, french_ordinal


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, str]]:
    return generate(1)


def test_equal_seeds_give_equal_pairs_and_others_do_not(rows: list[tuple[str, str, str]]) -> None:
    assert generate(1) == rows
    assert generate(2) != rows


def test_the_pairs_of_seed_one_do_not_change_unnoticed(rows: list[tuple[str, str, str]]) -> None:
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()
    assert digest == "61f2cb5ac8827e972064aec2d200148b742cebb0c59e931b4ecf84d323af1ab0"


def test_every_kind_is_there_and_no_side_is_empty(rows: list[tuple[str, str, str]]) -> None:
    kinds = Counter(kind for _, _, kind in rows)
    assert set(kinds) == {"number", "ordinal", "date", "time", "price", "measure", "copy", "courtesy", "phrase", "word"}
    assert min(kinds.values()) > 1000
    assert all(french.strip() and english.strip() for french, english, _ in rows)


def test_no_place_for_a_name_stays_unfilled(rows: list[tuple[str, str, str]]) -> None:
    assert not [row for row in rows if re.search(r"[{}]", row[0] + row[1])]


def test_numbers_in_digits_are_the_same_on_both_sides(rows: list[tuple[str, str, str]]) -> None:
    def digits(text: str) -> list[str]:
        return re.findall(r"\d", text)

    in_digits = [row for row in rows if row[2] in ("number", "price", "copy") and digits(row[0])]
    assert len(in_digits) > 5000
    assert [row for row in in_digits if digits(row[0]) != digits(row[1])] == []


def test_what_is_copied_is_in_both_sides(rows: list[tuple[str, str, str]]) -> None:
    addresses = [row for row in rows if "@" in row[0] or "www." in row[0]]
    assert len(addresses) > 500
    for french, english, _ in addresses:
        (address,) = re.findall(r"\S*(?:@|www\.)[a-z.@]+[a-z]", french)
        assert address in english


@pytest.mark.parametrize(
    ("number", "french", "english"),
    [
        (1, "premier", "first"),
        (5, "cinquième", "fifth"),
        (9, "neuvième", "ninth"),
        (21, "vingt et unième", "twenty-first"),
        (80, "quatre-vingtième", "eightieth"),
        (101, "cent unième", "one hundred first"),
        (200, "deux centième", "two hundredth"),
        (1000, "millième", "one thousandth"),
    ],
)
def test_ordinals(number: int, french: str, english: str) -> None:
    assert (french_ordinal(number), english_ordinal(number)) == (french, english)


def test_cents_and_vingts_lose_their_s_before_mille() -> None:
    assert french_number(200_000) == "deux cent mille"
    assert french_number(80_000) == "quatre-vingt mille"
    assert french_number(200) == "deux cents"


def test_the_command_writes_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[str, str, str]]
) -> None:
    monkeypatch.setattr("sys.argv", ["everyday", str(tmp_path / "everyday.parquet")])
    __main__.main()
    table = pq.read_table(tmp_path / "everyday.parquet")
    assert table.column_names == ["fr", "en", "source"]
    assert len(table) == len(rows)
