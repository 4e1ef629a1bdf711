"""Slots of phrases and what fills them."""

from __future__ import annotations

import random
import re

import pytest

from corpora.everyday.slots import SLOTS, filled


def test_one_slot_has_the_translation_of_its_value() -> None:
    draw = random.Random(1)
    pairs = {filled(draw, "À {day}", "See you on {day}") for _ in range(100)}
    assert len(pairs) == 7
    assert ("À lundi", "See you on Monday") in pairs


def test_numbered_slots_of_a_family_are_drawn_apart() -> None:
    draw = random.Random(1)
    pairs = {filled(draw, "De {month} à {month2}", "From {month} to {month2}") for _ in range(100)}
    assert len(pairs) > 50
    assert any(english.split()[1] != english.split()[3] for _, english in pairs)


def test_a_slot_at_the_start_gets_a_capital() -> None:
    french, english = filled(random.Random(1), "{drink}, s'il vous plaît", "{drink}, please")
    assert french[0].isupper() and english[0].isupper()


@pytest.mark.parametrize(
    ("template", "elided"), [("La sœur de {name}", "La sœur d'Emma"), ("Mi-mai, le {colour}", "Mi-mai, l'orange")]
)
def test_de_and_le_are_elided_before_a_vowel(template: str, elided: str) -> None:
    draw = random.Random(1)
    sources = {filled(draw, template, template)[0] for _ in range(500)}
    assert elided in sources
    assert not [source for source in sources if re.search(r"\b(de|le) [aeiouAEIOUÉ]", source)]


@pytest.mark.parametrize("family", sorted(SLOTS))
def test_what_fills_a_slot_has_no_slot_and_its_digits_are_on_both_sides(family: str) -> None:
    draw = random.Random(1)
    for _ in range(50):
        french, english = SLOTS[family](draw)
        assert french and english and not re.search(r"[{}]", french + english)
        assert re.findall(r"\d", french) == re.findall(r"\d", english)
