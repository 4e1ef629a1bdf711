from __future__ import annotations

import doctest
from pathlib import Path


def test_the_examples_of_the_tokenizer_page_run() -> None:
    results = doctest.testfile(str(Path(__file__).parents[1] / "docs" / "tokenizer.md"), module_relative=False)
    assert results.attempted >= 7
    assert results.failed == 0
