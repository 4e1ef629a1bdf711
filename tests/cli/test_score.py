from __future__ import annotations

import json
from pathlib import Path

import pytest

from translator import Translator
from translator.cli import main
from translator.model.int8 import int8_obstacle

PAIRS = [("Le chat dort.", "The cat sleeps."), ("oui", "yes"), ("", "nothing"), ("rien", ""), ("x", "y " * 60)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS), encoding="utf-8")
    return path


def test_each_pair_gets_its_log_probability(
    model_directory: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(model_directory), "--input", str(table)]) == 0
    found = capsys.readouterr().out.splitlines()
    expected = Translator.load(model_directory, "cpu").score(PAIRS)
    assert [float(line) for line in found[:-1]] == pytest.approx([float(score) for score in expected[:-1]], abs=1e-4)
    assert found[-1] == "nan"


@pytest.mark.skipif(int8_obstacle() is not None, reason="int8 matrix products require an x86 processor")
def test_the_precision_is_that_of_the_flag(
    model_directory: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for name in ("float32", "bfloat16", "int8"):
        assert main(["score", str(model_directory), "--precision", name, "--input", str(table)]) == 0
        found[name] = capsys.readouterr().out
        expected = Translator.load(model_directory, precision=name).score(PAIRS)
        assert [float(line) for line in found[name].splitlines()[:-1]] == pytest.approx(
            [float(score) for score in expected[:-1]], abs=1e-4
        )
    assert len(set(found.values())) == 3
    assert main(["score", str(model_directory), "--precision", "int4", "--input", str(table)]) == 2
    assert "argument --precision: invalid choice: 'int4'" in capsys.readouterr().err


def test_pairs_with_invalid_bytes_or_too_much_text_are_counted(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pairs").write_bytes(b"caf\xe9\tcoffee\n" + b"x\t" + b"y " * 60 + b"\n")
    assert main(["score", str(model_directory), "--input", str(tmp_path / "pairs")]) == 0
    notices = capsys.readouterr().err
    assert (
        "1 line contained bytes that are not UTF-8" in notices
        and "1 line exceeded the maximum length of the model" in notices
    )


def test_pairs_may_be_read_from_two_files(
    model_directory: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["score", str(model_directory), "--input", str(table)])
    expected = capsys.readouterr().out
    for column, name in enumerate(("fr", "en")):
        (tmp_path / name).write_text("".join(f"{pair[column]}\n" for pair in PAIRS), encoding="utf-8")
    files = ["--source", str(tmp_path / "fr"), "--target", str(tmp_path / "en")]
    assert main(["score", str(model_directory), *files, "--output", str(tmp_path / "scores")]) == 0
    assert (tmp_path / "scores").read_text() == expected


def test_json_has_tokens_with_log_probabilities(
    model_directory: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(model_directory), "--input", str(table), "--json"]) == 0
    values = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(values) == len(PAIRS)
    assert sum(values[0]["token_log_probabilities"]) == pytest.approx(values[0]["log_probability"])
    assert len(values[0]["token_log_probabilities"]) == len(values[0]["tokens"]) + 1
    assert values[-1]["log_probability"] is None and values[-1]["flags"] == ["too_long"]


def test_a_line_that_is_not_a_pair_is_reported_by_number(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, tabs in (("a\tb\na\tb\tc\n", 2), ("a\tb\nab\n", 0)):
        (tmp_path / "bad.tsv").write_text(text)
        assert main(["score", str(model_directory), "--input", str(tmp_path / "bad.tsv")]) == 2
        assert f"A line must be source<TAB>target. Received: {tabs} tabs in line 2." in capsys.readouterr().err


def test_lines_that_end_with_a_carriage_return_alone_are_refused_with_the_reason(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.tsv").write_bytes(b"a\tb\rc\td\r")
    assert main(["score", str(model_directory), "--input", str(tmp_path / "bad.tsv")]) == 2
    assert r'Received: 2 tabs in line 1. Lines must end with "\n"' in capsys.readouterr().err


def test_files_of_unequal_length_are_refused_with_both_counts(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fr").write_text("a\nb\nc\n")
    (tmp_path / "en").write_text("a\nb\n")
    files = ["--source", str(tmp_path / "fr"), "--target", str(tmp_path / "en")]
    assert main(["score", str(model_directory), *files]) == 2
    assert "Received: 3 source lines and 2 target lines." in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [["--source", "a"], ["--target", "a"], ["--source", "a", "--target", "b", "-i", "c"], ["--source", "", "-i", ""]],
)
def test_other_combinations_of_files_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "model", *options]) == 2
    assert "Pairs are read from --input, or from both --source and --target." in capsys.readouterr().err


def test_an_empty_file_name_does_not_mean_standard_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "model", "--source", "", "--target", ""]) == 2
    assert "An input must be a readable file. Received: " in capsys.readouterr().err
