"""Bundles: the model and nothing else, in a new folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from translator.checkpoint import CheckpointError, Storage, load_model, weights_of, write_bundle


@pytest.mark.parametrize(("storage", "error"), [("float32", 0.0), ("bfloat16", 2**-8), ("int8", 1 / 254)])
def test_a_bundle_contains_only_the_model(directory: Path, tmp_path: Path, storage: Storage, error: float) -> None:
    (directory / "README.md").write_text("What it is.")
    (directory / "metrics.jsonl").touch()
    loaded = load_model(directory)
    bundle = write_bundle(loaded, tmp_path / "deep" / "xx-yy", storage)
    assert {file.name for file in bundle.iterdir()} == {
        "README.md",
        "config.yaml",
        "model.safetensors",
        "tokenizer.model",
    }
    again = load_model(bundle)
    assert again.config.output == "xx-yy" and again.config.model == loaded.config.model
    assert again.config.data.cache is None
    for name, weight in weights_of(loaded.model).items():
        stored = weights_of(again.model)[name]
        largest = weight.abs().amax(dim=-1, keepdim=True)  # of the row, or of the whole vector
        assert stored.dtype == torch.float32
        assert ((stored - weight).abs() <= 1.001 * error * largest).all(), name


@pytest.mark.parametrize("storage", ["float32", "bfloat16", "int8"])
def test_a_bundle_with_a_damaged_byte_is_refused(directory: Path, tmp_path: Path, storage: Storage) -> None:
    bundle = write_bundle(load_model(directory), tmp_path / "xx-yy", storage)
    content = bytearray((bundle / "model.safetensors").read_bytes())
    content[-5] ^= 1
    (bundle / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"Weights must match the checksums .* with 1 damaged or missing tensors"):
        load_model(bundle)


def test_a_bundle_never_overwrites(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thesis.tex").touch()
    loaded = load_model(directory)
    with pytest.raises(CheckpointError, match=r"must be written to a new folder\. Received: .*here, which exists"):
        write_bundle(loaded, tmp_path / "here")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"could not be written to .*file/bundle"):
        write_bundle(loaded, tmp_path / "file" / "bundle")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["thesis.tex"]


def test_a_bundle_does_not_replace_the_working_directory(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(CheckpointError, match=r"must be written to a new folder\. Received: \., which exists"):
        write_bundle(load_model(directory), Path())
