"""The shipped Marian-shaped configuration, from training to transformers and back to training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from pages import ROOT

from translator import Translator
from translator.checkpoint import load_model
from translator.config import Config, DecodingChanges, load_config
from translator.data.sources import read_rows
from translator.export.marian import export_to_marian
from translator.export.marian_import import import_marian
from translator.training.trainer import train

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

MAJOR = int(transformers.__version__.partition(".")[0])
NEW_TOKENS = 25
GREEDY = DecodingChanges(beam_size=1, no_repeat_ngram=0, protect=False, guard=False)  # as `generate`
SMALL = [
    "data.train={phrasebook: train, max_examples: 400}",
    "data.valid={phrasebook: valid, max_examples: 40}",
    "tokenizer.vocab_size=500",
    "training.max_steps=30",
    "training.validate_every=30",
    "training.save_every=30",
    "training.warmup_steps=10",
    "training.learning_rate=0.003",
]


def configuration(directory: Path, *overrides: str) -> Config:
    return load_config(ROOT / "configs" / "phrasebook-marian.yaml", [f"output={directory}", *SMALL, *overrides])


@pytest.fixture(scope="module")
def texts() -> list[str]:
    data = configuration(Path("unused")).data
    return [source for source, _ in read_rows(data.valid, data)][:20]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("marian") / "run"
    train(configuration(directory))
    return directory


@pytest.fixture(scope="module")
def exported(run: Path, texts: list[str]) -> Path:
    folder = run.parent / "hugging-face"
    parity = export_to_marian(load_model(run), folder, [(text, text) for text in texts])
    assert parity is not None and parity.max_difference < 1e-4
    return folder


def loss_at(run: Path, step: int) -> float:
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return next(entry["valid_loss"] for entry in entries if entry["step"] == step and "valid_loss" in entry)


def beginnings(run: Path, texts: list[str]) -> list[str]:
    """Return the first tokens of the greedy translations of a model, as text."""
    found = Translator.load(run, "cpu").translate(texts, **GREEDY)
    return ["".join(each.tokens[:NEW_TOKENS]).replace("\u2581", " ").strip() for each in found]


def test_transformers_generates_the_texts_of_the_trained_model(run: Path, exported: Path, texts: list[str]) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    model = transformers.MarianMTModel.from_pretrained(exported).eval()
    inputs = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.inference_mode():
        output = model.generate(**inputs, num_beams=1, max_new_tokens=NEW_TOKENS)
    assert tokenizer.batch_decode(output, skip_special_tokens=True) == beginnings(run, texts)


@pytest.mark.skipif(MAJOR >= 5, reason="transformers 5 has no pipeline for translation")
def test_the_translation_pipeline_gives_the_texts_of_the_trained_model(
    run: Path, exported: Path, texts: list[str]
) -> None:
    translate = transformers.pipeline("translation", model=str(exported), device="cpu")
    found = translate(texts, num_beams=1, max_new_tokens=NEW_TOKENS)
    assert [each["translation_text"] for each in found] == beginnings(run, texts)


def test_an_imported_model_translates_alike_and_is_trained_further(
    run: Path, exported: Path, texts: list[str], tmp_path: Path
) -> None:
    imported = tmp_path / "imported"
    import_marian(exported, imported)
    translators = [Translator.load(each, "cpu") for each in (run, imported)]
    found = [[each.text for each in translator.translate(texts, **GREEDY)] for translator in translators]
    assert found[0] == found[1]
    tuned = tmp_path / "tuned"
    train(configuration(tuned, f"training.start_from={imported}"))
    assert loss_at(tuned, 30) < loss_at(run, 30) - 0.1
