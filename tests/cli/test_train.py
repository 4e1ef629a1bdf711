"""`translator train`, `tokenizer` and `average`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from translator.cli import main
from translator.tokenizer import Tokenizers

PAIRS = "fr\ten\n" + "".join(
    f"le chat numéro {number} dort ici\tcat number {number} sleeps here\n" for number in range(60)
)
CONFIG = """
output: run
data:
  source_language: fr
  target_language: en
  train: train.tsv
  cache: cache
tokenizer: {vocab_size: 290}
model: {d_model: 16, d_ff: 32, encoder_layers: 1, decoder_layers: 1, encoder_heads: 2, decoder_heads: 2}
training: {max_steps: 4, batch_tokens: 128, warmup_steps: 2, save_every: 1, log_every: 2, valid_decode_examples: 0}
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("train.tsv").write_text(PAIRS, encoding="utf-8")
    Path("config.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the message of a command that must exit with 2, without a traceback."""
    assert main(list(arguments)) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def test_all_errors_of_a_configuration_are_reported_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    message = fails(capsys, "train", "config.yaml", "model.d_modle=3", "training.max_steps=many", "seed=-1")
    assert "3 problems" in message
    assert "model.d_modle: no such key. Did you mean 'd_model'?" in message
    assert "training.max_steps: must be a valid integer" in message
    assert "Received: -1" in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.encoder_heads=3", "d_model must be divisible by encoder_heads. Received: d_model=16, heads=3."),
        ("tokenizer.joint=false", "model.tied_embeddings: all requires one vocabulary"),
        ("training.metric=bleu", "metric: bleu requires valid_decode_examples"),
        ("tokenizer.vocab_size=5000", "vocab_size"),
        ("data.train=missing.tsv", "missing.tsv"),
        ("data.train={text: {source: a.fr, target: a.en}}", "a.fr with 3 lines, a.en with 2"),
        ("data.train={file: train.tsv, source_column: de}", "fr, en"),
        ("data.train=empty.tsv", "empty.tsv"),
        ("output=train.tsv", "output must be a writable directory"),
        ("training.batch_tokens=3", "training.batch_tokens must leave out at most 5%"),
        ("model.source_vectors=missing.vec", "missing.vec"),
        ("model.attention=triton", "model.attention: triton cannot be used for this run: "),
        ("nonsense", "An override must have the form section.key=value"),
    ],
)
def test_an_invalid_configuration_gives_one_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, override: str, expected: str
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    Path("empty.tsv").touch()
    Path("a.fr").write_text("un\ndeux\ntrois\n", encoding="utf-8")
    Path("a.en").write_text("one\ntwo\n", encoding="utf-8")
    assert expected in fails(capsys, "train", "config.yaml", override)


def test_a_run_that_failed_before_step_1_accepts_a_corrected_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fails(capsys, "train", "config.yaml", "tokenizer.vocab_size=5000")
    fails(capsys, "train", "config.yaml", "training.batch_tokens=3")
    assert main(["train", "config.yaml"]) == 0
    assert "tokenizer.vocab_size: 290 -> 288" in fails(capsys, "train", "config.yaml", "tokenizer.vocab_size=288")


def test_a_run_ends_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["data.valid=train.tsv", "training.validate_every=2"]
    assert main(["train", "config.yaml", *overrides]) == 0
    (summary,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("finished at step 4")]
    assert re.fullmatch(
        r"finished at step 4, best valid loss [\d.]+ at step [24]; [\d,]+ target tokens; this process: \d\d:\d\d, "
        r"[\d,]+ target tokens/s with validation, peak memory [\d,]+ MiB",
        summary,
    )
    assert main(["train", "config.yaml", *overrides]) == 0
    assert "finished at step" not in capsys.readouterr().err  # no step was taken


def test_a_new_run_warns_of_faults_in_its_data_and_a_resumed_one_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    Path("test.tsv").write_text("fr\ten\nLE chat  numéro 3 dort ici\tcat 3\n", encoding="utf-8")
    swapped = ["source_column: en", "target_column: fr"]
    data = f"data.train={{file: train.tsv, {', '.join(swapped)}}}"
    assert main(["train", "config.yaml", "data.test=test.tsv", "training.max_steps=1"]) == 0
    assert "warning: data.test: test.tsv: the source text of 1 of 1 rows also occurs" in capsys.readouterr().err
    assert main(["train", "config.yaml", "data.test=test.tsv", "training.max_steps=2"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert main(["train", "config.yaml", data, "output=swapped", "training.max_steps=1"]) == 0
    assert "warning: data.train: train.tsv: the columns are swapped" in capsys.readouterr().err


def test_a_missing_configuration_is_reported_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert "missing.yaml" in fails(capsys, "train", "missing.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_output_is_reported_by_name(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    (workplace / "closed").mkdir(mode=0o500)
    assert "output must be a writable directory" in fails(capsys, "train", "config.yaml", "output=closed/run")


def test_training_a_finished_run_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "config.yaml"]) == 0
    weights = Path("run/last/model.safetensors").read_bytes()
    assert main(["train", "config.yaml"]) == 0
    assert Path("run/last/model.safetensors").read_bytes() == weights
    assert capsys.readouterr().out == ""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("closing", ["<&- >&- 2>&-", "2>/dev/full"])
def test_training_needs_no_standard_streams(closing: str) -> None:
    program = "import sys; from translator.cli import main; sys.exit(main())"
    command = f'"$0" -c "$1" train config.yaml training.data_workers=1 {closing}'
    assert subprocess.run(["bash", "-c", command, sys.executable, program], timeout=240).returncode == 0
    assert Path("run/checkpoints/step-4/model.safetensors").is_file()


def test_training_uses_a_tokenizer_that_was_trained_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenizer", "config.yaml"]) == 0
    assert "290 pieces" in capsys.readouterr().err
    learned = Tokenizers.load("run").fingerprint
    assert main(["train", "config.yaml"]) == 0
    assert Tokenizers.load("run").fingerprint == learned


def test_separate_vocabularies_have_separate_files(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["tokenizer.joint=false", "model.tied_embeddings=target", "tokenizer.vocab_size=286"]
    assert main(["train", "config.yaml", *overrides]) == 0
    assert Path("run/source.model").exists()
    assert Path("run/target.model").exists()
    assert main(["translate", "run", "le chat"]) == 0


def test_an_averaged_checkpoint_translates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "config.yaml"]) == 0
    assert main(["average", "run", "--last", "2", "--best"]) == 0
    assert Path("run/best").resolve().name == "average"
    assert main(["translate", "run/checkpoints/average", "le chat"]) == 0
    assert "--last must be at most the number of checkpoints" in fails(capsys, "average", "run", "--last", "9")
    assert "must be at least 1" in fails(capsys, "average", "run", "--last", "0")
    assert "average requires a run with checkpoints. Received: nowhere" in fails(capsys, "average", "nowhere")
