from __future__ import annotations

import pytest

from translator.evaluation.failures import find_failures


@pytest.mark.parametrize(
    ("source", "hypothesis", "expected"),
    [
        ("Le chat dort.", "The cat sleeps.", None),
        ("Le chat dort.", " ", "empty"),
        ("", "", None),
        ("Le chat dort sur le lit.", "le chat dort sur le lit.", "copied"),
        ("Jean-Paul Sartre", "Jean-Paul Sartre", None),
        ("Le chat dort.", "The cat the cat The cat the cat sleeps.", "looping"),
        ("Le chat dort.", "no no no sleep", None),
        ("Non non non non, dit-il.", "No no no no, he said.", None),
        ("Le chat dort.", "on the mat in Rome " * 4, None),  # five words are no loop
    ],
)
def test_each_kind_of_failure_is_found(source: str, hypothesis: str, expected: str | None) -> None:
    found = find_failures(["oui", source], ["yes", hypothesis])
    assert [kind for kind, indices in found.items() if indices] == ([expected] if expected else [])
    assert all(indices in ([], [1]) for indices in found.values())
