"""The verbs of the other architectures: generate, classify, their evaluation, and what is said to the wrong model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from variations import LABELS, write_model

from translator.cli import main
from translator.config import to_yaml
from translator.inference.classifier import Classifier
from translator.inference.generator import Generator
from translator.tokenizer import Tokenizers

TEXTS = ["Le chat dort.", "", "Où est la gare ?"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tokenizers: Tokenizers) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for objective in ("language_modeling", "classification", "masked_language_modeling", "translation"):
        write_model(folder / objective, objective, tokenizers)
    return folder


@pytest.fixture
def run(home: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a subcommand on the model of an objective."""

    def call(name: str, objective: str, *arguments: str) -> tuple[int, str, str]:
        device = ("--device", "cpu")
        ordered = (*arguments, *device) if name == "trace" else (*device, *arguments)
        status = main([name, str(home / objective), *ordered])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return call


@pytest.fixture
def lines(tmp_path: Path) -> str:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    return str(path)


def test_classify_is_a_filter(run: Run, home: Path, lines: str) -> None:
    expected = Classifier.load(home / "classification", "cpu").classify(TEXTS)
    status, out, _ = run("classify", "classification", "--input", lines)
    assert status == 0
    assert out.split("\n") == [
        *(f"{found.label}\t{found.probability:.4f}" if found.label else "" for found in expected),
        "",
    ]
    status, out, _ = run("classify", "classification", "--json", "--batch-tokens", "5", *TEXTS[::2])
    values = [json.loads(line) for line in out.splitlines()]
    assert [value["label"] for value in values] == [found.label for found in expected[::2]]
    assert list(values[0]["probabilities"]) == list(LABELS)


def test_generate_continues_lines_and_arguments(run: Run, home: Path, tmp_path: Path) -> None:
    generator = Generator.load(home / "language_modeling", "cpu")
    prompts = ["The cat", "We ate bread and eggs. Where"]
    expected = [found.text for found in generator.generate(prompts, max_pieces=8, beam_size=2)]
    arguments = ("--max-pieces", "8", "--beam-size", "2", "--length-penalty", "0.6")
    status, out, err = run("generate", "language_modeling", *arguments, *prompts)
    assert (status, out.splitlines()) == (0, expected)
    (tmp_path / "prompts").write_text("\n".join(prompts))
    assert run("generate", "language_modeling", *arguments, "-i", str(tmp_path / "prompts"))[1].splitlines() == expected
    guarded = ("--max-pieces", "30", "--beam-size", "1", "--no-repeat-ngram", "1")
    status, out, err = run("generate", "language_modeling", *guarded, prompts[0])
    [found] = generator.generate(prompts[:1], max_pieces=30, beam_size=1, no_repeat_ngram=1)
    assert (status, out.splitlines()) == (0, [found.text])
    assert len(set(found.hypotheses[0].tokens)) == len(found.hypotheses[0].tokens)
    drawing = ("--temperature", "3", "--top-k", "300", "--top-p", "0.99", "--max-pieces", "9")
    seeds = [run("generate", "language_modeling", *drawing, "--seed", seed, prompts[0])[1] for seed in "112"]
    assert seeds[0] == seeds[1] != seeds[2]
    status, out, err = run("generate", "language_modeling", "--samples", "3", "--max-pieces", "2", "--json", prompts[0])
    value = json.loads(out)
    assert len(value["samples"]) == 3 and value["prompt"] == prompts[0]
    assert ("raise --max-pieces" in err) == ("truncated" in value["flags"])
    _, out, _ = run("generate", "language_modeling", "--samples", "2", "--quiet", prompts[0])
    assert [line.split(" ||| ")[0] for line in out.splitlines()] == ["0", "0"]


@pytest.mark.parametrize(
    ("name", "objective", "arguments", "message"),
    [
        ("translate", "classification", ("Oui.",), "(encoder_only), trained for classification. Run `translator clas"),
        ("translate", "language_modeling", ("Oui.",), "Run `translator generate"),
        ("translate", "masked_language_modeling", ("Oui.",), "It is pre-trained: train another model with"),
        ("classify", "translation", ("Oui.",), "(decoder_only), trained for translation. Run `translator translate"),
        ("generate", "translation", ("Oui.",), "Run `translator translate"),
        ("score", "classification", ("--input", "/dev/null"), "Run `translator classify"),
        ("attention", "language_modeling", ("Oui.", "-o", "x.html"), "Run `translator generate"),
        ("attention", "translation", ("Oui.", "-o", "x.html"), "Inspection requires an encoder-decoder model"),
        ("trace", "classification", ("Oui.",), "Run `translator classify"),
        ("embeddings", "masked_language_modeling", ("nearest", "oui"), "It is pre-trained"),
        ("evaluate", "masked_language_modeling", ("--test", "{sentiment: test}"), "It is pre-trained"),
        ("evaluate", "classification", ("--beam-size", "2"), "--beam-size does not apply to a model trained for cl"),
        ("evaluate", "classification", ("--no-repeat-ngram", "0"), "--no-repeat-ngram does not apply to a model"),
        ("evaluate", "classification", ("--no-fold-capitals",), "--fold-capitals does not apply to a model"),
        ("evaluate", "classification", ("--reference-column", "en"), "--reference-column does not apply to a model"),
        ("evaluate", "language_modeling", ("--reference-file", "x"), "--reference-file does not apply to a model"),
        ("evaluate", "classification", (), "An evaluation requires a test set"),
        ("evaluate", "classification", ("--test", "{file: missing.tsv}"), "must be a file that exists"),
        ("generate", "language_modeling", ("mot " * 99,), "A prompt must have at most"),
        ("generate", "language_modeling", ("--beam-size", "2", "--top-k", "3", "x"), "beam_size and top_k are mut"),
        ("classify", "classification", ("--batch-tokens", "0", "x"), "batch_tokens must be above 0"),
    ],
)  # fmt: skip
def test_a_model_of_another_objective_gives_one_message(
    run: Run, name: str, objective: str, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run(name, objective, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("translator: ")


@pytest.mark.parametrize("form", ["ctranslate2", "marian"])
@pytest.mark.parametrize("objective", ["language_modeling", "classification", "masked_language_modeling"])
def test_only_a_translation_model_is_exported(
    home: Path, tmp_path: Path, form: str, objective: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "exported"
    assert main(["export", str(home / objective), "--to", form, "-o", str(folder)]) == 2
    assert capsys.readouterr().err.startswith("translator: The model must be trained for translation. Received: ")
    assert not list(tmp_path.iterdir())


def labelled(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-8")
    return str(path)


def test_a_classifier_is_evaluated_with_its_confusions(run: Run, home: Path, tmp_path: Path) -> None:
    rows = [("Le chat dort.", "animal"), ("Où est la gare ?", "place"), ("Du pain et des œufs.", "food")] * 4
    test = labelled(tmp_path / "test.tsv", rows)
    found = [each.label for each in Classifier.load(home / "classification", "cpu").classify([row[0] for row in rows])]
    labels = tmp_path / "labels.txt"
    status, out, _ = run("evaluate", "classification", "--test", test, "--json", "-o", str(labels))
    report = json.loads(out)
    assert labels.read_text().splitlines() == found
    assert report["accuracy"] == pytest.approx(
        100 * sum(a == row[1] for a, row in zip(found, rows, strict=True)) / len(rows)
    )
    assert sum(sum(row.values()) for row in report["confusion"].values()) == len(rows)
    status, out, _ = run("evaluate", "classification", "--test", test)
    assert status == 0
    assert "correct \\ predicted" in out
    status, out, _ = run("evaluate", "classification", "--test", test, "--by", "text", "--json")
    cats = [label for label, row in zip(found, rows, strict=True) if row[0] == "Le chat dort."]
    accuracy = pytest.approx(100 * cats.count("animal") / 4)
    assert json.loads(out)["groups"]["Le chat dort."] == {"num_examples": 4, "accuracy": accuracy}
    assert "accuracy %" in run("evaluate", "classification", "--test", test, "--by", "text")[1]
    status, out, err = run("evaluate", "classification", "--test", labelled(tmp_path / "x.tsv", [("a", "verb")]))
    assert status == 2 and "of the classifier: animal, place, food. Received: 'verb'." in err


def test_perplexity_counts_all_tokens_and_the_end_of_each_text(run: Run, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "test.txt"
    path.write_text("The cat is sleeping.\nWhere is the station?\n")
    values = Generator.load(home / "language_modeling", "cpu").token_log_probabilities(path.read_text().splitlines())
    status, out, _ = run("evaluate", "language_modeling", "--test", str(path), "--json")
    report = json.loads(out)
    assert report["num_tokens"] == sum(map(len, values))
    assert report["loss"] == pytest.approx(-sum(map(sum, values)) / sum(map(len, values)), rel=1e-5)
    assert "perplexity" in run("evaluate", "language_modeling", "--test", str(path))[1]
    status, _, err = run("evaluate", "language_modeling", "--test", str(path), "--output", "x")
    assert status == 2 and "--output does not apply to" in err


def test_a_classifier_is_trained_and_used_from_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from translator.config import validate

    rows = [(f"{word} {end}", label) for label, word in (("yes", "bon"), ("no", "mal")) for end in map(str, range(40))]
    train = labelled(tmp_path / "train.tsv", rows)
    values = {
        "output": str(tmp_path / "run"),
        "data": {"train": train, "valid": train, "labels": ["yes", "no"], "cache": str(tmp_path / "cache")},
        "tokenizer": {"vocab_size": 277},
        "model": {"architecture": "encoder_only", "d_model": 16, "d_ff": 16, "encoder_layers": 1, "encoder_heads": 2},
        "training": {
            "objective": "classification", "max_steps": 20, "batch_tokens": 256, "learning_rate": 0.02,
            "warmup_steps": 2, "validate_every": 20, "save_every": 20, "metric": "accuracy", "label_smoothing": 0.0,
        },
    }  # fmt: skip
    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(validate(values, "test")))
    assert main(["train", str(path)]) == 0
    assert main(["classify", str(tmp_path / "run"), "bon 99", "mal 99"]) == 0
    out = capfd.readouterr().out
    assert [line.split("\t")[0] for line in out.splitlines()] == ["yes", "no"]
