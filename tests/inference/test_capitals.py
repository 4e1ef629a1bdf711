from __future__ import annotations

import pytest

from translator.inference.capitals import fold_capitals


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("LE CHAT DORT.", "Le chat dort."),
        ("« OÙ EST LA GARE ? »", "« Où est la gare ? »"),
        ("IL FAIT FROID.  12 ! OÙ VA M. PETIT ?\n« ICI ! »", "Il fait froid.  12 ! Où va m. petit ?\n« Ici ! »"),
        ("L'ONU", "L'ONU"),
        ("OK", "OK"),
        ("A 1 B 2", "A 1 B 2"),
        ("Le CHAT dort.", "Le CHAT dort."),
        ("12 345", "12 345"),
        ("", ""),
    ],
)
def test_only_a_text_all_in_capitals_is_folded(text: str, folded: str) -> None:
    assert fold_capitals(text) == folded
