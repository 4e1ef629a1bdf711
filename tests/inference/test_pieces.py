"""Translations of pieces of a sentence."""

from __future__ import annotations

import pytest

from translator.inference.pieces import as_inside


@pytest.mark.parametrize(
    ("source", "target", "is_first", "is_last", "expected"),
    [
        ("Le chat dort", "The cat sleeps.", True, False, "The cat sleeps"),
        ("et le chien mange.", "And the dog eats.", False, True, "and the dog eats."),
        ("et moi", "I do.", False, False, "I do"),
        ("Paris", "Paris.", False, False, "Paris"),
        ("Oui !", "Yes!", True, False, "Yes!"),
        ("quoi", "...", False, False, "..."),
        ("le sigle", "NATO", False, True, "NATO"),
    ],
)
def test_a_part_is_written_as_inside_its_sentence(
    source: str, target: str, is_first: bool, is_last: bool, expected: str
) -> None:
    assert as_inside(source, target, is_first=is_first, is_last=is_last) == expected
