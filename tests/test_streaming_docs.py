"""docs/streaming.md: its configuration is valid and streams, and its table of costs follows from its figures."""

from __future__ import annotations

import re

import yaml
from pages import ROOT, blocks

from translator.config import validate

PAGE = "docs/streaming.md"


def test_the_configuration_is_valid_and_streams() -> None:
    (text,) = blocks(PAGE, "yaml")
    config = validate({"output": "runs/streams", **yaml.safe_load(text)}, PAGE)
    assert config.data.is_streamed and config.data.mixing_temperature == 2


def test_the_times_for_100_million_pairs_follow_from_the_measured_rates() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| [\w ,]+ \| ([\d,]+) \| ([\d,]+) s(?: \(measured: \d+ s\))? \| ([\d,]+) s \|$", page, flags=re.M
    )
    assert len(rows) == 2
    for row in rows:
        rate, ten, hundred = (int(cell.replace(",", "")) for cell in row)
        assert abs(1e7 / rate - ten) <= 1 and abs(1e8 / rate - hundred) <= 1
