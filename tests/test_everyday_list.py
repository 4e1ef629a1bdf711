"""The list of everyday inputs that quality is measured on: its size, its determinism, its spelled numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import everyday_list as script


@pytest.mark.parametrize("seed", [2026, 1, 2])
def test_the_list_has_150_rows_and_no_french_twice(seed: int) -> None:
    header, *lines = script.everyday_list(seed).splitlines()
    rows = [line.split("\t") for line in lines]
    assert header == "fr\ten\tkind"
    assert len(rows) == 150
    assert all(len(row) == 3 and all(field and field == field.strip() for field in row) for row in rows)
    assert all(len(set(en.split(" | "))) == len(en.split(" | ")) for _, en, _ in rows)
    assert len({fr for fr, _, _ in rows}) == 150
    assert Counter(kind for _, _, kind in rows) == {
        **{"greeting": 20, "courtesy": 20, "word": 25, "sign": 15, "question": 10, "answer": 10},
        **{"number": 13, "date": 12, "time": 12, "price": 13},
    }


def test_a_seed_gives_the_same_list_each_time_and_another_seed_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.main([])
    printed = capsys.readouterr().out
    script.main(["--seed", "2026", "--output", str(tmp_path / "list.tsv")])
    assert (tmp_path / "list.tsv").read_text(encoding="utf-8") == printed
    other = script.everyday_list(7)
    assert other != printed
    assert other.splitlines()[:101] == printed.splitlines()[:101]


@pytest.mark.parametrize(
    ("number", "french", "english"),
    [
        (0, "zéro", "zero"),
        (21, "vingt et un", "twenty-one"),
        (70, "soixante-dix", "seventy"),
        (71, "soixante et onze", "seventy-one"),
        (80, "quatre-vingts", "eighty"),
        (81, "quatre-vingt-un", "eighty-one"),
        (91, "quatre-vingt-onze", "ninety-one"),
        (97, "quatre-vingt-dix-sept", "ninety-seven"),
        (100, "cent", "one hundred"),
        (101, "cent un", "one hundred one"),
        (200, "deux cents", "two hundred"),
        (280, "deux cent quatre-vingts", "two hundred eighty"),
        (1000, "mille", "one thousand"),
        (1998, "mille neuf cent quatre-vingt-dix-huit", "one thousand nine hundred ninety-eight"),
        (80_000, "quatre-vingt mille", "eighty thousand"),
        (200_000, "deux cent mille", "two hundred thousand"),
        (300_080, "trois cent mille quatre-vingts", "three hundred thousand eighty"),
        (1_000_000, "un million", "one million"),
    ],
)
def test_numbers_are_spelled_as_in_france(number: int, french: str, english: str) -> None:
    assert script.french_words(number) == french
    assert script.english_words(number) == english
