"""Import of a Hugging Face Marian directory, such as Helsinki-NLP/opus-mt-fr-en, as a model directory.

Ids are renumbered: UNK 0, the token that starts the decoder 1 (BOS), EOS 2, then the pieces of `vocab.json` in their
order. Pieces that SentencePiece knows and `vocab.json` lacks mean UNK. They come last, with UNK's embedding and a bias
that keeps them from being written.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from translator.atomic_io import atomic_write
from translator.checkpoint import CONFIG_FILE, WEIGHTS_FILE, build_with_weights, save_weights, weights_of
from translator.config import Config, to_yaml, validate
from translator.errors import shorten
from translator.export.folder import ExportError, export_folder
from translator.export.marian import ACTIVATIONS
from translator.export.pieces import read_pieces, reordered
from translator.export.transformers_engine import LENGTH_PENALTY_FACTOR
from translator.model.embedding import sinusoids
from translator.tokenizer import Tokenizer, Tokenizers

_FILES = ("config.json", "vocab.json", "source.spm", "target.spm")
_TORCH_FILE = "pytorch_model.bin"
_ACTIVATIONS = {name: name for name in ACTIVATIONS} | {"silu": "swish"}
_UNWANTED = ("normalize_before", "normalize_embedding", "add_final_layer_norm")
_LANGUAGE_TAG = re.compile(r">>.+<<")
_MISSING_BIAS = -100.0  # of pieces that the model does not have: far below any logit, and harmless in training


@dataclass(frozen=True)
class _Vocabulary:
    """The vocabulary of one side.

    Attributes:
        pieces: all pieces in the new order.
        rows: row of the old weights for each.
        num_missing: number of pieces at the end that the old vocabulary lacks.
    """

    pieces: list[str]
    rows: Tensor
    num_missing: int


@dataclass(frozen=True)
class _Source:
    """Content of a Marian directory."""

    config: dict[str, Any]
    generation: dict[str, Any]
    tokenizer: dict[str, Any]
    vocabularies: tuple[dict[str, int], dict[str, int]]
    models: tuple[bytes, bytes]
    weights: dict[str, Tensor]


def import_marian(directory: Path, folder: Path) -> None:
    """Write a Marian directory as a model directory, from which training can start.

    Args:
        directory: folder with `config.json`, `vocab.json`, `source.spm`, `target.spm`, and `model.safetensors` or
            `pytorch_model.bin`.
        folder: folder to write, which must be absent or empty.

    Raises:
        ExportError: if a file is missing or damaged, the model cannot be expressed here (names all obstacles), or the
            folder cannot be written.
        TokenizerError: if a SentencePiece model is damaged.
    """
    source = _read(directory)
    if found := obstacles(source):
        raise ExportError(f"{directory} cannot be imported:\n  " + "\n  ".join(found))
    vocabularies = _vocabularies(source)
    tokenizers = _tokenizers(source, vocabularies)
    config = _config(source, vocabularies, folder.name, is_joint=tokenizers.is_joint)
    weights = _weights(source, config, vocabularies)
    model = build_with_weights(config, tokenizers, weights, directory)
    with export_folder(folder) as temporary:
        atomic_write(temporary / CONFIG_FILE, to_yaml(config))
        tokenizers.save(temporary)
        save_weights(temporary / WEIGHTS_FILE, weights_of(model), tokenizers.fingerprint)


def obstacles(source: _Source) -> list[str]:
    """Return everything that keeps a Marian model from being imported, one line each; empty if nothing does."""
    config, found = source.config, []
    if (kind := config.get("model_type")) != "marian":
        found.append(f"config.json: model_type must be marian. Received: {shorten(repr(kind))}.")
    if (activation := config.get("activation_function", "gelu")) not in _ACTIVATIONS:
        known, received = ", ".join(_ACTIVATIONS), shorten(repr(activation))
        found.append(f"config.json: activation_function must be one of {known}. Received: {received}.")
    found += [f"config.json: {key} must be false. Received: true." for key in _UNWANTED if config.get(key)]
    if not isinstance(config.get("eos_token_id", 0), int):
        found.append(f"config.json: eos_token_id must be one id. Received: {shorten(repr(config['eos_token_id']))}.")
    for key in ("source_lang", "target_lang"):
        if not isinstance(source.tokenizer.get(key), str):
            found.append(f"tokenizer_config.json: {key} is required, and missing.")
    tags = [piece for piece in source.vocabularies[0] if _LANGUAGE_TAG.fullmatch(piece)]
    if tags:
        found.append(f"vocab.json: language tags are not supported. Received: {', '.join(tags[:3])}.")
    missing = [piece for vocabulary in source.vocabularies for piece in ("<unk>", "</s>") if piece not in vocabulary]
    if missing:
        found.append(f"vocab.json: {missing[0]} is required, and missing.")
    for side in ("encoder", "decoder"):
        table = source.weights.get(f"model.{side}.embed_positions.weight")
        if table is not None and not torch.allclose(
            table.float(), sinusoids(len(table), table.shape[1], "halves"), atol=1e-3
        ):
            found.append(f"weights: model.{side}.embed_positions must be sinusoids. Received: other values.")
    return found


def _read(directory: Path) -> _Source:
    missing = [name for name in _FILES if not (directory / name).is_file()]
    weights = next((directory / n for n in (WEIGHTS_FILE, _TORCH_FILE) if (directory / n).is_file()), None)
    if missing or weights is None:
        missing += [] if weights else [f"{WEIGHTS_FILE} or {_TORCH_FILE}"]
        raise ExportError(f"A Marian directory must have {', '.join(missing)}. Received: {directory}, without.")
    config, vocabulary = _read_json(directory / "config.json"), _read_json(directory / "vocab.json")
    target = directory / "target_vocab.json"
    return _Source(
        config=config,
        generation=_read_json(directory / "generation_config.json", is_optional=True),
        tokenizer=_read_json(directory / "tokenizer_config.json", is_optional=True),
        vocabularies=(vocabulary, _read_json(target) if target.is_file() else vocabulary),
        models=((directory / "source.spm").read_bytes(), (directory / "target.spm").read_bytes()),
        weights=_read_weights(weights),
    )


def _read_json(path: Path, is_optional: bool = False) -> dict[str, Any]:
    if is_optional and not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise ExportError(f"{path} must be JSON. Received: other data ({shorten(str(error))}).") from error
    if not isinstance(value, dict):
        raise ExportError(f"{path} must be a JSON object. Received: {shorten(repr(value))}.")
    return value


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".bin":
            weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        else:
            weights = load_file(path)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ExportError(f"Weights must be a complete file of tensors. Received: {path}.") from error
    return {name: weight.float() for name, weight in weights.items()}


def _vocabularies(source: _Source) -> tuple[_Vocabulary, _Vocabulary]:
    """Return the vocabularies of source and target, which are equal where `vocab.json` serves both."""
    pieces = [[piece.text for piece in read_pieces(model)] for model in source.models]
    if source.vocabularies[0] is source.vocabularies[1]:
        shared = _vocabulary(source, source.vocabularies[0], [*pieces[0], *pieces[1]])
        return shared, shared
    first, second = (_vocabulary(source, *each) for each in zip(source.vocabularies, pieces, strict=True))
    return first, second


def _vocabulary(source: _Source, ids: Mapping[str, int], pieces: list[str]) -> _Vocabulary:
    pad = source.config.get("pad_token_id", -1)
    special = [ids["<unk>"], source.config.get("decoder_start_token_id", pad), ids["</s>"]]
    by_id = {index: piece for piece, index in ids.items() if index not in (*special, pad)}
    missing = [piece for piece in dict.fromkeys(pieces) if piece not in ids and piece != "<s>"]
    return _Vocabulary(
        pieces=["<unk>", "<s>", "</s>", *(by_id[index] for index in sorted(by_id)), *missing],
        rows=torch.tensor([*special, *sorted(by_id), *[ids["<unk>"]] * len(missing)]),
        num_missing=len(missing),
    )


def _tokenizers(source: _Source, vocabularies: tuple[_Vocabulary, _Vocabulary]) -> Tokenizers:
    models = [reordered(*each) for each in zip(source.models, (v.pieces for v in vocabularies), strict=True)]
    first = Tokenizer(models[0])
    return Tokenizers(first, first if models[0] == models[1] else Tokenizer(models[1]))


def _config(source: _Source, vocabularies: tuple[_Vocabulary, _Vocabulary], name: str, *, is_joint: bool) -> Config:
    theirs, generation = source.config, source.generation
    is_tied = theirs.get("tie_word_embeddings", True)
    is_shared = theirs.get("share_encoder_decoder_embeddings", True)
    beam_size = generation.get("num_beams", theirs.get("num_beams", 4))
    penalty = generation.get("length_penalty", theirs.get("length_penalty", 1.0))
    values = {
        "output": name,
        "data": {key: source.tokenizer[f"{key[:6]}_lang"] for key in ("source_language", "target_language")},
        "tokenizer": {"vocab_size": len(vocabularies[1].pieces), "joint": is_joint},
        "model": {
            "d_model": theirs["d_model"],
            "d_ff": max(theirs["encoder_ffn_dim"], theirs["decoder_ffn_dim"]),
            "encoder_layers": theirs["encoder_layers"],
            "decoder_layers": theirs["decoder_layers"],
            "encoder_heads": theirs["encoder_attention_heads"],
            "decoder_heads": theirs["decoder_attention_heads"],
            "norm": "post",
            "sinusoids": "halves",
            "max_positions": theirs.get("max_position_embeddings", 1024),
            "activation": _ACTIVATIONS[theirs.get("activation_function", "gelu")],
            "tied_embeddings": "none" if not is_tied else "all" if is_shared and is_joint else "target",
            "output_bias": "final_logits_bias" in source.weights,
            "dropout": theirs.get("dropout", 0.1),
            "attention_dropout": theirs.get("attention_dropout", 0.0),
            "activation_dropout": theirs.get("activation_dropout", 0.0),
        },
        "decoding": {"beam_size": beam_size, "length_penalty": round(penalty / LENGTH_PENALTY_FACTOR, 4)},
    }
    return validate(values, "config.json")


def _weights(source: _Source, config: Config, vocabularies: tuple[_Vocabulary, _Vocabulary]) -> dict[str, Tensor]:
    """Return the weights under the names of this project."""
    theirs, tied = source.weights, config.model.tied_embeddings
    shared = theirs.get("model.shared.weight")
    encoder = theirs.get("model.encoder.embed_tokens.weight", shared)
    decoder = theirs.get("model.decoder.embed_tokens.weight", shared)
    if encoder is None or decoder is None:
        raise ExportError("Weights must have model.shared.weight, or embed_tokens of both stacks.")
    scale = 1.0 if source.config.get("scale_embedding", True) else config.model.d_model**-0.5
    found = {"target_embedding.weight": decoder[vocabularies[1].rows] * scale}
    if tied != "all":
        found["source_embedding.weight"] = encoder[vocabularies[0].rows] * scale
    if tied == "none":
        found["output_embedding.weight"] = theirs.get("lm_head.weight", decoder)[vocabularies[1].rows]
    for side, layers in (("encoder", config.model.encoder_layers), ("decoder", config.model.decoder_layers)):
        for number in range(layers):
            prefix = f"{side}.layers.{number}."
            layer = {n.removeprefix(f"model.{prefix}"): w for n, w in theirs.items() if n.startswith(f"model.{prefix}")}
            found |= {prefix + name: weight for name, weight in _layer(layer, config.model.d_ff).items()}
    if scale != 1.0 and tied != "none":  # the output embedding was scaled with the input; the last norm makes up for it
        for name in ("weight", "bias"):
            found[f"decoder.layers.{config.model.decoder_layers - 1}.feed_forward_norm.{name}"] /= scale
    if config.model.output_bias:
        bias = theirs["final_logits_bias"].flatten()[vocabularies[1].rows]
        bias[len(bias) - vocabularies[1].num_missing :] = _MISSING_BIAS
        found["output_bias"] = bias
    return {name: weight.contiguous().clone() for name, weight in found.items()}


def _layer(theirs: Mapping[str, Tensor], d_ff: int) -> dict[str, Tensor]:
    """Return the weights of one layer; `d_ff` may be larger than theirs, which adds zeros."""
    names = {
        "self_attn.out_proj": "self_attention.output_projection",
        "self_attn_layer_norm": "self_attention_norm",
        "encoder_attn.q_proj": "cross_attention.query_projection",
        "encoder_attn.out_proj": "cross_attention.output_projection",
        "encoder_attn_layer_norm": "cross_attention_norm",
        "fc1": "feed_forward.inner_projection",
        "fc2": "feed_forward.output_projection",
        "final_layer_norm": "feed_forward_norm",
    }
    joint = {
        "self_attention.query_key_value_projection": [f"self_attn.{letter}_proj" for letter in "qkv"],
        "cross_attention.key_value_projection": [f"encoder_attn.{letter}_proj" for letter in "kv"],
    }
    found: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        for name, ours in names.items():
            if f"{name}.{kind}" in theirs:
                found[f"{ours}.{kind}"] = theirs[f"{name}.{kind}"]
        for ours, parts in joint.items():
            if all(f"{part}.{kind}" in theirs for part in parts):
                found[f"{ours}.{kind}"] = torch.cat([theirs[f"{part}.{kind}"] for part in parts])
    inner, outer = "feed_forward.inner_projection", "feed_forward.output_projection.weight"
    if f"{inner}.bias" in found and (extra := d_ff - len(found[f"{inner}.bias"])):
        found[f"{inner}.weight"] = F.pad(found[f"{inner}.weight"], (0, 0, 0, extra))
        found[f"{inner}.bias"] = F.pad(found[f"{inner}.bias"], (0, extra))
        found[outer] = F.pad(found[outer], (0, extra))
    return found
