"""Language identification by py3langid."""

from __future__ import annotations

import pytest

from translator.data.languages import identifier_of, identify_languages, known_languages

PAIRS = [
    ("Où est la gare, s'il vous plaît ?", "Where is the station, please?"),
    ("Le chat dort sur le canapé.", "The cat is sleeping on the sofa."),
]


def test_an_identifier_chooses_between_its_languages_alone() -> None:
    identifier = identifier_of(("de", "fr"))
    assert identifier.classify("Où est la gare ?")[0] == "fr"
    assert {language for language, _ in identifier.rank("Where is the station?")} == {"de", "fr"}


@pytest.mark.parametrize("languages", [("fr", "tlh"), ("tlh",)])
def test_there_is_no_identifier_of_an_unknown_language(languages: tuple[str, ...]) -> None:
    assert not set(languages) <= known_languages()
    assert identifier_of(languages) is None


def test_rows_with_both_sides_in_the_other_language_are_swapped() -> None:
    rows = [PAIRS[0], PAIRS[1][::-1]]
    report = identify_languages(rows, ("fr", "en"))
    assert (report.rows, report.foreign, report.swapped, report.example) == (2, 1, 1, rows[1])


def test_the_most_frequent_language_of_each_side_is_reported() -> None:
    assert identify_languages(PAIRS, ("fr", "en")).common == ("fr", "en")
    assert identify_languages([("bref", "short")], ("fr", "en")).common == (None, None)
