"""Weights files: the same bytes for the same weights, and nothing but intact weights is read."""

from __future__ import annotations

import errno
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from translator.checkpoint import (
    CheckpointError,
    Storage,
    average_weights,
    load_checkpoint,
    load_model,
    read_weights,
    save_weights,
    set_weights,
    write_checkpoint,
)
from translator.tokenizer import Tokenizers


def test_equal_weights_make_equal_files_that_others_may_read(weights_path: Path, tmp_path: Path) -> None:
    weights, metadata = read_weights(weights_path)
    files = [tmp_path / f"{number}.safetensors" for number in range(8)]
    for file in files:
        save_weights(file, weights, metadata["tokenizer"])
    assert len({file.read_bytes() for file in files}) == 1  # the order of the keys is not left to chance eight times
    assert read_weights(files[0])[1] == metadata
    assert files[0].stat().st_mode & 0o666 == tmp_path.stat().st_mode & 0o666


def test_weights_are_written_where_the_file_system_has_no_modes(
    weights_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chmod(self: Path, mode: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(Path, "chmod", chmod)
    weights, metadata = read_weights(weights_path)
    save_weights(tmp_path / "x.safetensors", weights, metadata["tokenizer"])
    assert read_weights(tmp_path / "x.safetensors")[1] == metadata


def test_a_tied_parameter_is_stored_once(weights_path: Path) -> None:
    weights, metadata = read_weights(weights_path)
    assert [name for name in weights if "embedding" in name] == ["target_embedding.weight"]
    assert metadata["version"] == "2"


def test_truncated_weights_are_refused(weights_path: Path) -> None:
    data = weights_path.read_bytes()
    weights_path.write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="Weights must be a complete safetensors file"):
        read_weights(weights_path)


def test_a_pipe_in_place_of_weights_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_weights(tmp_path / "model.safetensors")


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(weights_path: Path) -> None:
    whole = weights_path.read_bytes()
    expected, metadata = read_weights(weights_path)
    end_of_header = 8 + int.from_bytes(whole[:8], "little")
    refused = 0
    places = [*range(0, end_of_header, 37), *range(end_of_header, len(whole), 1001), len(whole) - 1]
    for number, place in enumerate(places):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << number % 8
        weights_path.write_bytes(damaged)
        try:
            weights, found = read_weights(weights_path)
        except CheckpointError:
            refused += 1
            continue
        assert found["tokenizer"] != metadata["tokenizer"] or weights.keys() == expected.keys()
        assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert refused > 0.9 * len(places)


def test_a_file_whose_end_an_interrupted_copy_left_empty_is_refused(weights_path: Path) -> None:
    data = weights_path.read_bytes()
    weights_path.write_bytes(data[: 2 * len(data) // 3] + bytes(len(data) - 2 * len(data) // 3))
    with pytest.raises(CheckpointError, match=r"Weights must match the checksums stored with them\. Received: "):
        read_weights(weights_path)


def test_a_tensor_that_is_missing_or_a_table_of_checksums_that_is_damaged_is_refused(weights_path: Path) -> None:
    stored, (_, metadata) = load_file(weights_path), read_weights(weights_path)
    fewer = dict(list(stored.items())[1:])
    save_file(fewer, weights_path, metadata)
    with pytest.raises(CheckpointError, match=r"1 damaged or missing tensors"):
        read_weights(weights_path)
    for table in ("[", "3", "[[1]]"):
        save_file(stored, weights_path, metadata | {"checksums": table})
        with pytest.raises(CheckpointError, match="Weights must match the checksums"):
            read_weights(weights_path)


def test_weights_of_a_version_without_checksums_are_read(weights_path: Path) -> None:
    expected, metadata = read_weights(weights_path)
    assert json.loads(metadata.pop("checksums")).keys() == expected.keys()
    save_file(expected, weights_path, metadata)
    weights, _ = read_weights(weights_path)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


class _Bomb:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (_explode, (str(self.path),))


def _explode(path: str) -> None:
    Path(path).touch()


def test_a_pickle_in_place_of_weights_is_refused_and_never_run(weights_path: Path, tmp_path: Path) -> None:
    weights_path.write_bytes(pickle.dumps(_Bomb(tmp_path / "crater")))
    with pytest.raises(CheckpointError, match="No other format is loaded as weights"):
        read_weights(weights_path)
    assert not (tmp_path / "crater").exists()


def test_weights_of_another_format_version_are_refused(weights_path: Path) -> None:
    weights, _ = read_weights(weights_path)
    for metadata, received in (({"version": "99"}, "version 99"), (None, "version unknown")):
        save_file(weights, weights_path, metadata)
        with pytest.raises(CheckpointError, match=f"must be of format version 1 or 2. Received: .*, {received}"):
            read_weights(weights_path)


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_weights_of_format_1_are_converted(weights_path: Path, storage: Storage) -> None:
    weights, metadata = read_weights(weights_path)
    save_weights(weights_path, weights, metadata["tokenizer"], storage)
    expected, _ = read_weights(weights_path)
    save_weights(weights_path, separate_projections(weights), metadata["tokenizer"], storage)
    stored, version_1 = load_file(weights_path), {"version": "1", "tokenizer": metadata["tokenizer"]}
    save_file(stored, weights_path, version_1)
    converted, _ = read_weights(weights_path)
    assert list(converted) == list(expected)
    assert all(torch.equal(converted[name], expected[name]) for name in expected)
    load_model(weights_path.parents[2])


def test_weights_of_both_formats_are_averaged(directory: Path, weights_path: Path, tokenizers: Tokenizers) -> None:
    weights, metadata = read_weights(weights_path)
    other = write_checkpoint(directory, "step-2", {name: 3 * weight for name, weight in weights.items()}, tokenizers)
    save_file(separate_projections(weights), weights_path, {"version": "1", "tokenizer": metadata["tokenizer"]})
    average = average_weights([weights_path.parent, other])
    for name, weight in weights.items():
        torch.testing.assert_close(average[name], 2 * weight)


@pytest.mark.parametrize("damage", [None, torch.zeros(()), torch.zeros(3, 5)])
def test_a_projection_of_format_1_without_its_counterpart_is_refused(weights_path: Path, damage: Tensor | None) -> None:
    weights, metadata = read_weights(weights_path)
    separate = separate_projections(weights)
    del separate["encoder.layers.0.self_attention.query_projection.weight"]
    if damage is not None:
        separate["encoder.layers.0.self_attention.query_projection.weight"] = damage
    save_file(separate, weights_path, {"version": "1", "tokenizer": metadata["tokenizer"]})
    with pytest.raises(CheckpointError, match=r"layers\.0\.self_attention\.key_value_projection\.weight is unknown"):
        load_model(weights_path.parents[2])


def separate_projections(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that format 1 stored: two projections in each self-attention."""
    separate: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if ".query_key_value_projection." in name:
            rows = len(weight) // 3
            separate[name.replace("query_key_value", "query")] = weight[:rows].clone()
            separate[name.replace("query_key_value", "key_value")] = weight[rows:].clone()
        else:
            separate[name] = weight
    return separate


@pytest.mark.parametrize(
    ("matrix", "scale"),
    [
        (torch.ones(3, 4, dtype=torch.int8), None),
        (torch.ones(3, 4, dtype=torch.int8), torch.ones(1)),
        (torch.ones(3, 4, dtype=torch.int8), torch.ones(3, 4)),
        (torch.ones(3, 4, dtype=torch.int8), torch.ones(3, dtype=torch.float64)),
        (torch.ones(3, 4), torch.ones(3)),
        (torch.ones(12, dtype=torch.int8), torch.ones(12)),
        (None, torch.ones(3)),
    ],
)
def test_scales_that_do_not_belong_to_an_int8_matrix_are_refused(
    tmp_path: Path, matrix: Tensor | None, scale: Tensor | None
) -> None:
    tensors = {"w": matrix, "w.scale": scale}
    stored = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(stored, tmp_path / "x.safetensors", {"version": "1"})
    with pytest.raises(CheckpointError, match="or int8 matrices with one float32 scale per row"):
        read_weights(tmp_path / "x.safetensors")


def test_control_characters_in_the_name_of_a_tensor_are_shown_escaped(model_directory: Path, tmp_path: Path) -> None:
    model = load_checkpoint(model_directory)
    with pytest.raises(CheckpointError, match=r"\\x1b\[31mred is unknown") as failure:
        set_weights(model, {"\x1b[31mred": torch.zeros(1)}, "nothing")
    assert "\x1b" not in str(failure.value)
    save_file({"\x1b[31mred": torch.ones(2, dtype=torch.int64)}, tmp_path / "x.safetensors", {"version": "1"})
    with pytest.raises(CheckpointError, match=r"tensor \\x1b\[31mred of torch.int64 \(2,\)\."):
        read_weights(tmp_path / "x.safetensors")


def test_averaging_requires_checkpoints_of_one_model(
    directory: Path, weights_path: Path, tokenizers: Tokenizers
) -> None:
    with pytest.raises(CheckpointError, match="at least one checkpoint"):
        average_weights([])
    weights, _ = read_weights(weights_path)
    other = write_checkpoint(directory, "step-2", {"target_embedding.weight": torch.zeros(3, 3)}, tokenizers)
    with pytest.raises(CheckpointError, match="must be of one model"):
        average_weights([weights_path.parent, other])
    tripled = write_checkpoint(directory, "step-3", {name: 3 * w for name, w in weights.items()}, tokenizers)
    mean = average_weights([weights_path.parent, tripled])
    for name, weight in weights.items():
        torch.testing.assert_close(mean[name], 2 * weight)


def test_weights_with_other_names_are_refused(model_directory: Path) -> None:
    model = load_checkpoint(model_directory)
    with pytest.raises(CheckpointError, match="is missing"):
        set_weights(model, {}, "nothing")
