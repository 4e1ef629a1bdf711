"""Code blocks of the documentation pages, for the tests that run them."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of one language on a page, such as `docs/attention.md`."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)


def commands(page: str) -> list[str]:
    """Return the shell commands of a page."""
    return [line for block in blocks(page, "bash") for line in block.splitlines()]


def run_python(page: str) -> int:
    """Run the Python examples of a page in order, check their output, and return their number."""
    code = blocks(page, "python")
    assert all(">>> " in block for block in code)
    test = doctest.DocTestParser().get_doctest("\n".join(code), {}, page, None, 0)
    assert doctest.DocTestRunner().run(test).failed == 0
    return len(test.examples)
