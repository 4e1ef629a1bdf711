from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import PAIRS

from translator import Translator
from translator.cli import evaluate, main
from translator.evaluation import evaluate as score_translations

FAST = ["--beam-size", "1", "--max-length-factor", "0.2"]


@pytest.fixture
def test_set(tmp_path: Path) -> Path:
    path = tmp_path / "test.tsv"
    path.write_text("fr\ten\n" + "".join(f"{source}\t{target}\n" for source, target in PAIRS), encoding="utf-8")
    return path


def test_scores_are_those_of_the_translations(
    model_directory: Path, test_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.en"
    arguments = ["evaluate", str(model_directory), "--test", str(test_set), *FAST]
    assert main([*arguments, "--json", "--output", str(output)]) == 0
    found = json.loads(capsys.readouterr().out)
    translator = Translator.load(model_directory, "cpu")
    texts = [
        translation.text
        for translation in translator.translate([pair[0] for pair in PAIRS], beam_size=1, max_length_factor=0.2)
    ]
    assert output.read_text(encoding="utf-8").splitlines() == texts
    expected = score_translations(texts, [pair[1] for pair in PAIRS]).as_dict()
    assert found == expected | {"exact_match": 0.0, "sources": {}, "constructions": {}}


def test_an_output_that_cannot_be_or_is_read_is_refused_before_the_work(
    model_directory: Path, test_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(evaluate, "_translate", lambda *given: pytest.fail("translated first"))
    before = test_set.read_bytes()
    arguments = ["evaluate", str(model_directory), "--test", str(test_set), "--output"]
    assert main([*arguments, str(tmp_path / "no" / "file")]) == 2
    assert "--output must be a writable file. Received: " in capsys.readouterr().err
    assert main([*arguments, str(test_set)]) == 2
    assert "--output must not be the file that is read. Received: " in capsys.readouterr().err
    pair = ["--test", f"{{text: {{source: {test_set}, target: {test_set}}}}}", "--output", str(test_set)]
    assert main(["evaluate", str(model_directory), *pair]) == 2
    assert "--output must not be the file that is read. Received: " in capsys.readouterr().err
    assert test_set.read_bytes() == before


def test_several_sources_are_scored_together_and_one_by_one(
    model_directory: Path, test_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = f"[{{file: {test_set}, max_examples: 2}}, {{phrasebook: test, max_examples: 3}}]"
    assert main(["evaluate", str(model_directory), "--test", spec, "--json", *FAST]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["num_examples"] == 5
    assert {name: part["num_examples"] for name, part in found["sources"].items()} == {
        str(test_set): 2,
        "phrasebook test": 3,
    }
    assert sum(part["num_examples"] for part in found["constructions"].values()) == 3
    assert main(["evaluate", str(model_directory), "--test", spec, *FAST]) == 0
    assert "phrasebook test" in capsys.readouterr().out


def test_people_get_a_table_with_signatures(
    model_directory: Path, test_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(model_directory), "--test", f"{{file: {test_set}, max_examples: 3}}", *FAST]) == 0
    out, err = capsys.readouterr()
    rows = out.splitlines()
    assert rows[0] == "3 pairs" and [row.split()[0] for row in rows[1:]] == ["BLEU", "chrF", "TER", "exact"]
    assert "nrefs:1|case:mixed" in rows[1]
    assert "3 sentences in" in err


def test_each_construction_has_its_own_accuracy(
    model_directory: Path, test_set: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["negation", "question", "negation", "question", "negation"]
    monkeypatch.setattr(evaluate, "_constructions", lambda source, data: names)
    monkeypatch.setattr(
        evaluate, "_translate", lambda translator, texts, options: [PAIRS[0][1], PAIRS[1][1], "no", "no", "no"]
    )
    arguments = ["evaluate", str(model_directory), "--test", str(test_set)]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["exact_match"] == 40.0
    assert found["constructions"] == {
        "negation": {"num_examples": 3, "exact_match": pytest.approx(100 / 3)},
        "question": {"num_examples": 2, "exact_match": 50.0},
    }
    assert main(arguments) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    assert ["negation", "3", "33.33"] in rows and ["question", "2", "50.00"] in rows


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (None, "An evaluation needs a test set. Received: a model whose data.test is empty. Give --test."),
        ("/no/such.tsv", "/no/such.tsv"),
        ("{hub: x, file: y}", "--test: 1 problem."),
        ("{flie: y}", "Did you mean 'file'?"),
        ("[", "--test must be valid YAML."),
    ],
)
def test_a_test_set_that_cannot_be_used_is_said_in_one_message(
    model_directory: Path, spec: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(model_directory), *(["--test", spec] if spec else [])]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_a_test_set_of_the_recipe_that_is_gone_says_what_to_give(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(model_directory, tmp_path / "moved", symlinks=True)
    config = yaml.safe_load((copy / "config.yaml").read_text(encoding="utf-8"))
    config["data"]["test"] = [{"file": "gone.tsv"}]
    (copy / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert main(["evaluate", str(copy)]) == 2
    assert "gone.tsv (no such file). The model's recipe names it as data.test. Give --test." in capsys.readouterr().err


def test_a_column_that_is_not_there_is_named_with_those_that_are(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.tsv").write_text("de\ten\nja\tyes\n")
    assert main(["evaluate", str(model_directory), "--test", str(tmp_path / "bad.tsv")]) == 2
    error = capsys.readouterr().err
    assert "fr" in error and "de" in error and "en" in error and "Traceback" not in error
