"""The study of errors: its lines are drawn by a seed, its judgements name texts without containing them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from benchmarks import error_study as study

JUDGED = study.read(Path(study.__file__).with_suffix(".tsv"))


def write_sets(folder: Path, *, reverse: bool) -> Path:
    """Write validation sets of 40 pairs of each source, in one order or the other."""
    sources = [source for _, names, _ in study.DOMAINS.values() for source in names]
    general = [(f"phrase {number} de {source}", "x", source) for source in sources for number in range(40)]
    captions = [(f"image {number}", "x") for number in range(40)]
    step = -1 if reverse else 1
    for path, rows, names in (
        (study.GENERAL, general, ["fr", "en", "source"]),
        (study.CAPTIONS, captions, ["fr", "en"]),
    ):
        (folder / path).parent.mkdir(parents=True)
        columns = zip(*rows[::step], strict=True)
        parquet.write_table(pa.table(dict(zip(names, columns, strict=True))), folder / path)
    return folder


def judged(**columns: str) -> dict[str, str]:
    return {"model": "m", "domain": "news", "source": "s", "row": "1", "reason": "", **columns}


def test_the_draw_has_200_lines_and_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    drawn = [study.draw(write_sets(tmp_path / str(reverse), reverse=reverse), seed=15) for reverse in (False, True)]
    assert [row["fr"] for row in drawn[0]] == [row["fr"] for row in drawn[1]]
    assert Counter(row["domain"] for row in drawn[0]) == {name: count for name, (_, _, count) in study.DOMAINS.items()}
    assert len({row["french"] for row in drawn[0]}) == 200


def test_another_seed_draws_other_lines(tmp_path: Path) -> None:
    folder = write_sets(tmp_path / "sets", reverse=False)
    first, second = ({row["french"] for row in study.draw(folder, seed)} for seed in (15, 16))
    assert first != second


def test_the_committed_judgements_are_complete_and_contain_no_text() -> None:
    study.check(JUDGED)
    for row in JUDGED:
        assert tuple(row) == study.KEPT
        assert re.fullmatch(r"[a-z-]*", row["reason"])
        assert all(re.fullmatch(r"[0-9a-f]{16}", row[column]) for column in ("french", "output"))
    assert set(Counter(row["model"] for row in JUDGED).values()) == {200}


def test_the_table_counts_wrong_and_acceptable_lines_of_a_class_apart() -> None:
    rows = [
        judged(verdict="right", classes=""),
        judged(verdict="wrong", classes="sense dropped"),
        judged(verdict="wrong", classes="sense"),
        judged(verdict="acceptable", classes="sense", domain="captions"),
    ]
    lines = study.table(rows).splitlines()
    assert lines[0] == "|  | news | captions | all |"
    assert "| wrong | 2 | 0 | 2 |" in lines
    assert "| `sense` | 2 + 0 | 0 + 1 | 2 + 1 |" in lines
    assert "| `dropped` | 1 + 0 | 0 + 0 | 1 + 0 |" in lines


@pytest.mark.parametrize(
    ("verdict", "classes"), [("", ""), ("bad", "sense"), ("wrong", "typo"), ("wrong", ""), ("right", "sense")]
)
def test_a_judgement_that_is_missing_or_contradicts_itself_is_refused(verdict: str, classes: str) -> None:
    with pytest.raises(SystemExit, match="row 1"):
        study.check([judged(verdict=verdict, classes=classes)])


def test_judgements_are_found_again_for_the_same_translation_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "translated_texts", lambda model, texts: ["The cat.", "The dog."])
    rows = [{"french": study.digest(text), "fr": text} for text in ("Le chat.", "Le chien.")]
    earlier = [
        judged(french=study.digest("Le chat."), output=study.digest("The cat."), verdict="right", classes=""),
        judged(french=study.digest("Le chien."), output=study.digest("Dog."), verdict="wrong", classes="grammar"),
    ]
    result = study.translated("any", rows, "new", earlier)
    assert [row["verdict"] for row in result] == ["right", ""]
    assert [row["model"] for row in result] == ["new", "new"]


def test_keep_writes_no_texts_and_replaces_judgements_of_the_same_model(tmp_path: Path) -> None:
    texts = {"fr": "Le chat.", "en": "The cat.", "translation": "Cat."}
    row = judged(french="f", output="o", verdict="wrong", classes="grammar", **texts)
    lines, kept = tmp_path / "lines.tsv", tmp_path / "kept.tsv"
    study.write(lines, [row], (*study.KEPT, *study.TEXTS))
    study.write(kept, [row | {"verdict": "right", "classes": ""}, row | {"model": "other"}], study.KEPT)
    study.keep(lines, kept)
    assert [(each["model"], each["verdict"]) for each in study.read(kept)] == [("other", "wrong"), ("m", "wrong")]
    assert "chat" not in kept.read_text(encoding="utf-8")
