"""Numbers that are written differently are equal; other numbers are not."""

from __future__ import annotations

import pytest

from translator.inference.numbers import has_equal_numbers, missing_numbers, word_values


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Il fait beau.", "The weather is fine."),
        ("Le code est 7 5 3 9 1.", "The code is 7, 5, 3, 9, 1."),
        ("Le code est 7 5 3 9 1.", "The code is 75391."),
        ("Les pages 4 5 6", "Pages 4, 5 and 6"),
        ("Le 1 2 2004", "On 1 February 2004"),
        ("Il a payé 1 500 2 000 3 000 euros.", "He paid 1,500 2,000 3,000 euros."),
        ("Il a payé 1 000,5 euros.", "He paid 1,000.5 euros."),
        ("Il a payé 1\u202f000\u202f000 d'euros.", "He paid 1,000,000 euros."),
        ("Il a payé 18,50 €.", "He paid €18.5."),
        ("Il en a vingt.", "He has 20."),
        ("Il en a 20.", "He has twenty."),
        ("Il en a 85.", "He has eighty-five."),
        ("Il en a quatre-vingt-dix-neuf.", "He has 99."),
        ("Il en a soixante-quinze.", "He has 75."),
        ("Il en a 250.", "He has two hundred and fifty."),
        ("En mille neuf cent quatre-vingt-quatre", "In 1984"),
        ("En 1984", "In nineteen eighty-four"),
        ("Il vient à 14h30.", "He comes at 2:30 p.m."),
        ("Il vient à 14 h 30.", "He comes at half past two."),
        ("Il vient à 13h05.", "He comes at 1.05 p.m."),
        ("Il vient à 20 heures.", "He comes at 8 p.m."),
        ("Il vient à 12 h.", "He comes at noon."),
        ("Il vient à 0h30.", "He comes at 12:30 a.m."),
        ("Un mur de 10 m", "A wall of 10 metres"),
        ("10 M d'euros", "10,000,000 euros"),
        ("Il vient à midi.", "He comes at 12."),
        ("Le 12/05/2024", "On May 12, 2024"),
        ("Le 12.05.2024", "12 May 2024"),
        ("2 millions de personnes", "2,000,000 people"),
        ("2,5 milliards", "2.5 billion"),
        ("Une trentaine de chats", "About 30 cats"),
        ("Une douzaine d'œufs", "12 eggs"),
        ("Le XIXe siècle", "The 19th century"),
        ("Louis XIV", "Louis 14"),
        ("Les années 80", "The 1980s"),
        ("Les années 80", "The eighties"),
        ("1997-1998", "1997-98"),
        ("36 p. 100", "36%"),
        ("Le 1er mai", "The first of May"),
        ("Il a 1 an.", "He is a year old."),
        ("Le 01 23 45 67 89", "0123456789"),
        ("3/4", "three quarters"),
        ("La 5e fois", "The fifth time"),
        ("0,50 $", "$0.5"),
        ("12 000 000 000 000 000 000 milliards", "12,000,000,000,000,000,000 billion"),
    ],
)
def test_ways_of_writing_a_number_are_equal(source: str, target: str) -> None:
    assert has_equal_numbers(source, target)
    assert missing_numbers(source, target) == []


@pytest.mark.parametrize(
    ("source", "target", "missing"),
    [
        ("Il a payé 1 000,5 euros.", "He paid 1,005 euros.", ["1 000,5"]),
        ("Il a 85 ans.", "He is 58 years old.", ["85"]),
        ("Il a 85 ans.", "He is old.", ["85"]),
        ("Il a payé 18,50 €.", "He paid €1850.", ["18,50"]),
        ("Il a payé 1850 €.", "He paid €18.50.", ["1850"]),
        ("Il a 3 chats.", "He has four cats.", ["3"]),
        ("Il vient à 14h30.", "He comes at 3:30 p.m.", ["14"]),
        ("En 1998", "In 1989", ["1998"]),
        ("Le 01 23 45 67 89", "The 01 23 45,6789", ["01", "23", "45", "67", "89"]),
        ("Le 4970 1012 3456 7890", "The 4970 1012,3456 7890", ["4970", "1012", "3456", "7890"]),
        ("Le 4970 1012 3456 7890", "The 4970 1012, 3456 7890", ["4970", "1012", "3456", "7890"]),
        ("Le code est 7 5 3 9 1, 85 fois.", "The code is 7, 5, 3, 9, 85 times.", ["7", "5", "3", "9", "1"]),
        ("2 millions", "2 billion", ["2"]),
        ("2,5 millions", "2.5 billion", ["2,5"]),
        ("Le chat dort.", "The cat sleeps in 1984.", []),
    ],
)
def test_lost_changed_and_invented_numbers_are_found(source: str, target: str, missing: list[str]) -> None:
    assert [match[0] for match in missing_numbers(source, target)] == missing
    assert not has_equal_numbers(source, target)


def test_words_have_the_value_of_the_whole_and_of_the_parts() -> None:
    assert {"2000000", "2"} <= word_values("Two million people")
    assert {"1984", "19", "84"} <= word_values("nineteen eighty-four")
    assert {"97", "80"} <= word_values("quatre-vingt-dix-sept")
    assert word_values("the cat") == frozenset()
    assert word_values("million " * 100)  # neither slow nor endless
