"""The commands and the Python of docs/documents.md run, with the output that the page shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from pages import ROOT, commands, run_python

from translator.cli import main
from translator.documents.formats import SUFFIXES

PAGE = "docs/documents.md"


def test_every_command_and_every_line_of_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = commands(PAGE)
    assert len(found) == 4
    for line in found:
        if line.startswith("printf"):
            subprocess.run(line, shell=True, check=True)
        else:
            assert main(line.split()[1:]) == 0
    assert capsys.readouterr().out.strip() in (ROOT / PAGE).read_text(encoding="utf-8")
    station = Path("station.md").read_text(encoding="utf-8")
    assert re.fullmatch(r"# The station\n\n.*\*\*lost\*\*.*\(plan\.html\).*\n\n- .+\n- .+\n", station)
    assert run_python(PAGE) >= 4


def test_every_suffix_is_in_the_table() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert all(f"`{suffix}`" in text for suffix in SUFFIXES)
