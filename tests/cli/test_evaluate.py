from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from sacrebleu.metrics import BLEU, CHRF, TER
from sentences import PAIRS

from translator import Translator
from translator.cli import main
from translator.evaluation import evaluate, translation

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
    expected = evaluate(texts, [pair[1] for pair in PAIRS]).as_dict()
    assert found == expected | {"exact_match": 0.0, "sources": {}, "by": None, "groups": {}}


def test_an_unwritable_output_is_refused_before_translating(
    model_directory: Path, test_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(translation, "translate_texts", lambda *given: pytest.fail("translated first"))
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


def test_several_sources_are_scored_together_and_separately(
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
    assert found["groups"] == {}
    assert main(["evaluate", str(model_directory), "--test", spec, *FAST]) == 0
    assert "phrasebook test" in capsys.readouterr().out


def test_the_default_report_is_a_table_with_signatures(
    model_directory: Path, test_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(model_directory), "--test", f"{{file: {test_set}, max_examples: 3}}", *FAST]) == 0
    out, err = capsys.readouterr()
    rows = out.splitlines()
    assert rows[0] == "3 pairs" and [row.split()[0] for row in rows[1:]] == ["BLEU", "chrF", "TER", "exact"]
    assert "nrefs:1|case:mixed" in rows[1]
    assert "3 sentences in" in err


def test_scores_are_broken_down_by_a_column(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "test.tsv"
    kinds = ["question", "negation", "question", "", "negation"]
    rows = [f"{source}\t{kind}\t{target}\n" for (source, target), kind in zip(PAIRS, kinds, strict=True)]
    path.write_text("fr\tkind\ten\n" + "".join(rows), encoding="utf-8")
    hypotheses = [PAIRS[0][1], PAIRS[1][1], "no", "no", "no"]
    monkeypatch.setattr(translation, "translate_texts", lambda *given: hypotheses)
    arguments = ["evaluate", str(model_directory), "--test", str(path), "--by", "kind"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["by"] == "kind" and found["exact_match"] == 40.0
    assert {name: part["exact_match"] for name, part in found["groups"].items()} == {
        "": 0.0,
        "negation": 50.0,
        "question": 50.0,
    }
    questions = evaluate([hypotheses[0], hypotheses[2]], [PAIRS[0][1], PAIRS[2][1]], with_ter=False).as_dict()
    assert found["groups"]["question"] == questions | {"exact_match": 50.0}
    assert main(arguments) == 0
    table = [row.split() for row in capsys.readouterr().out.splitlines()]
    bleu, chrf = (f"{questions[name]['score']:.2f}" for name in ("bleu", "chrf"))
    assert ["kind", "pairs", "BLEU", "chrF", "exact", "%"] in table
    assert ["question", "2", bleu, chrf, "50.00"] in table and ["(empty)", "1"] in [row[:2] for row in table]


def test_constructions_of_the_embedded_corpus_are_a_column(
    model_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = "{phrasebook: test, max_examples: 6}"
    assert main(["evaluate", str(model_directory), "--test", spec, "--by", "construction", "--json", *FAST]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(part["num_examples"] for part in found["groups"].values()) == 6 and "" not in found["groups"]


def test_several_references_come_from_columns_and_files(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "test.tsv"
    rows = [f"{source}\t{target}\t{target.upper()}\n" for source, target in PAIRS]
    path.write_text("fr\ten\ten2\n" + "".join(rows), encoding="utf-8")
    third = ["The cat.", "", "", "Hi!", "Bread."]
    (tmp_path / "third.en").write_text("\n".join(third) + "\n")
    hypotheses = [PAIRS[0][1], PAIRS[1][1].upper(), "The man spoke.", "Hi!", "We ate bread."]
    monkeypatch.setattr(translation, "translate_texts", lambda *given: hypotheses)
    references = ["--reference-column", "en2", "--reference-file", str(tmp_path / "third.en")]
    assert main(["evaluate", str(model_directory), "--test", str(path), *references, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    sets = [[target for _, target in PAIRS], [target.upper() for _, target in PAIRS], [text or None for text in third]]
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF()), ("ter", TER())):
        assert found[name]["score"] == metric.corpus_score(hypotheses, sets).score
        assert found[name]["signature"] == str(metric.get_signature())
    assert found["exact_match"] == 60.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "kind"], "'kind', which is not among fr, en"),
        (["--reference-column", "en2"], "'en2', which is not among fr, en"),
        (["--reference-file", "{folder}/none"], "A file of references must be a file that exists."),
        (["--reference-file", "{test}"], "must have one line per example of the test set. Received: "),
        (["--reference-file", "{test}", "-o", "{test}"], "--output must not be the file that is read."),
        (
            ["--test", "{{text: {{source: {test}, target: {test}}}}}", "--by", "kind"],
            "Column kind requires a source with",
        ),
    ],
)
def test_columns_and_references_that_do_not_fit_are_refused(
    arguments: list[str],
    message: str,
    model_directory: Path,
    test_set: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [argument.format(folder=tmp_path, test=test_set) for argument in arguments]
    assert main(["evaluate", str(model_directory), "--test", str(test_set), *FAST, *given]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (None, "An evaluation requires a test set, and data.test of the model is empty. Give --test."),
        ("/no/such.tsv", "/no/such.tsv"),
        ("{hub: x, file: y}", "--test: 1 problem."),
        ("{flie: y}", "Did you mean 'file'?"),
        ("[", "--test must be valid YAML."),
    ],
)
def test_an_invalid_test_set_gives_one_message(
    model_directory: Path, spec: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(model_directory), *(["--test", spec] if spec else [])]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_a_missing_test_set_of_the_configuration_names_the_option_to_give(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(model_directory, tmp_path / "moved", symlinks=True)
    config = yaml.safe_load((copy / "config.yaml").read_text(encoding="utf-8"))
    config["data"]["test"] = [{"file": "gone.tsv"}]
    (copy / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert main(["evaluate", str(copy)]) == 2
    error = capsys.readouterr().err
    assert "gone.tsv" in error and "The configuration of the model names it as data.test. Give --test." in error


def test_a_missing_column_is_reported_with_the_existing_columns(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.tsv").write_text("de\ten\nja\tyes\n")
    assert main(["evaluate", str(model_directory), "--test", str(tmp_path / "bad.tsv")]) == 2
    error = capsys.readouterr().err
    assert "fr" in error and "de" in error and "en" in error and "Traceback" not in error
