from __future__ import annotations

from translator.evaluation.tables import format_table


def test_columns_are_aligned_and_an_empty_name_is_shown() -> None:
    assert format_table("kind", ["pairs", "BLEU"], {"": ["1", "100.00"], "negation": ["12,345", "9.50"]}) == [
        "kind       pairs    BLEU",
        "(empty)        1  100.00",
        "negation  12,345    9.50",
    ]


def test_a_table_without_rows_has_no_lines() -> None:
    assert format_table("kind", ["pairs"], {}) == []
