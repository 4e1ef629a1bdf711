"""Export of a model to a Hugging Face Marian directory, which `MarianMTModel` and `MarianTokenizer` load."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from translator.atomic_io import atomic_write
from translator.checkpoint import LoadedModel
from translator.config import ModelConfig
from translator.engines.ctranslate2_model import vocabulary
from translator.export.folder import ExportError, export_folder
from translator.export.parity import Parity, compare, require_parity
from translator.export.transformers_engine import LENGTH_PENALTY_FACTOR, TransformersEngine
from translator.inference.translator import Translator
from translator.model import EncoderDecoder
from translator.model.attention import SelfAttention
from translator.model.layers import TransformerLayer
from translator.tokenizer import BOS_ID, EOS_ID, UNK_ID, Tokenizer

ACTIVATIONS = ("relu", "gelu", "swish")


def obstacles(config: ModelConfig) -> list[str]:
    """Return everything that `MarianMTModel` cannot express, one line each; empty if nothing."""
    has_final_norm = config.norm == "pre" if config.final_norm is None else config.final_norm
    requirements = [
        ("architecture", "encoder_decoder", config.architecture, config.architecture == "encoder_decoder"),
        ("norm", "post", config.norm, config.norm == "post"),
        ("final_norm", "false", str(has_final_norm).lower(), not has_final_norm),
        ("positions", "sinusoidal", config.positions, config.positions == "sinusoidal"),
        ("activation", " or ".join(ACTIVATIONS), config.activation, config.activation in ACTIVATIONS),
    ]
    for key in ("encoder_heads", "decoder_heads"):
        heads = getattr(config, key)
        is_one = isinstance(heads, int) or len(set(heads)) == 1
        requirements.append((key, "the same in all layers", str(heads), is_one))
    return [
        f"model.{key} must be {required}. Received: {received}."
        for key, required, received, is_met in requirements
        if not is_met
    ]


def export_to_marian(
    loaded: LoadedModel, folder: Path, rows: Sequence[tuple[str, ...]], *, has_references: bool = False
) -> Parity | None:
    """Write a Marian directory and, if transformers is installed, compare it with the original.

    Args:
        loaded: the model, on the CPU.
        folder: folder to write, which must be absent or empty.
        rows: source texts, each with a target text, that are translated and scored by both models.
        has_references: True if the target texts are translations.

    Returns:
        The comparison; None without transformers.

    Raises:
        ExportError: if the model cannot be expressed in this format (names all obstacles), the folder cannot be
            written, or the exported model decodes differently.
    """
    if found := obstacles(loaded.config.model):
        raise ExportError("The model has no counterpart among MarianMTModel's:\n  " + "\n  ".join(found))
    with export_folder(folder) as temporary:
        write_marian(loaded, temporary)
        if importlib.util.find_spec("transformers") is None:
            return None
        exported = TransformersEngine(temporary)
        parity = compare(Translator.of(loaded), exported, rows, has_references=has_references)
        require_parity(parity, is_quantized=False)
    return parity


def write_marian(loaded: LoadedModel, folder: Path) -> None:
    """Write weights, configurations and tokenizer files into an existing folder."""
    source, target = loaded.tokenizers.source, loaded.tokenizers.target
    save_file(_weights(loaded), folder / "model.safetensors", {"format": "pt"})
    for name, values in (
        ("config", _config(loaded)),
        ("generation_config", _generation_config(loaded)),
        ("tokenizer_config", _tokenizer_config(loaded)),
    ):
        atomic_write(folder / f"{name}.json", json.dumps(values, indent=2) + "\n")
    atomic_write(folder / "vocab.json", _vocabulary_json(source))
    if not loaded.tokenizers.is_joint:
        atomic_write(folder / "target_vocab.json", _vocabulary_json(target))
    atomic_write(folder / "source.spm", source.to_bytes())
    atomic_write(folder / "target.spm", target.to_bytes())


def _vocabulary_json(tokenizer: Tokenizer) -> str:
    ids = {piece: index for index, piece in enumerate(vocabulary(tokenizer))}
    return json.dumps(ids, ensure_ascii=False, indent=1) + "\n"


def _weights(loaded: LoadedModel) -> dict[str, Tensor]:
    """Return the weights under Marian's names.

    Marian's sinusoids are in halves. If those of the model are interleaved, the channels of the residual stream are
    reordered in every weight that reads or writes it, which changes nothing else.
    """
    config, model = loaded.config.model, loaded.model
    assert isinstance(model, EncoderDecoder)
    order = torch.arange(config.d_model)
    if config.sinusoids == "interleaved":
        order = torch.cat((order[0::2], order[1::2]))
    found: dict[str, Tensor] = {}
    if config.tied_embeddings == "all":
        found["model.shared.weight"] = model.target_embedding.weight[:, order]
    else:
        found["model.encoder.embed_tokens.weight"] = model.source_embedding.weight[:, order]
        found["model.decoder.embed_tokens.weight"] = model.target_embedding.weight[:, order]
    if config.tied_embeddings == "none":
        found["lm_head.weight"] = model.output_embedding.weight[:, order]
    bias = model.output_bias
    found["final_logits_bias"] = torch.zeros(1, loaded.tokenizers.target.vocab_size) if bias is None else bias[None]
    for side, stack in (("encoder", model.encoder), ("decoder", model.decoder)):
        for number, layer in enumerate(stack.layers):
            assert isinstance(layer, TransformerLayer)
            prefix = f"model.{side}.layers.{number}."
            found |= {prefix + name: weight for name, weight in _layer_weights(layer, order).items()}
    return {name: weight.detach().float().contiguous().clone() for name, weight in found.items()}


def _layer_weights(layer: TransformerLayer, order: Tensor) -> dict[str, Tensor]:
    """Return the weights of one layer under Marian's names, its channels in the given order."""
    found: dict[str, Tensor] = {}

    def add(name: str, weight: Tensor, bias: Tensor, select: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = weight, select(bias)

    def add_writing(name: str, linear: nn.Linear) -> None:
        add(name, linear.weight[order], linear.bias, lambda bias: bias[order])

    attentions = [("self_attn", layer.self_attention, layer.self_attention_norm)]
    norms: list[tuple[str, nn.LayerNorm]] = [("final_layer_norm", layer.feed_forward_norm)]
    if layer.cross_attention is not None:
        attentions.append(("encoder_attn", layer.cross_attention, layer.cross_attention_norm))  # type: ignore[arg-type]
    for name, attention, norm in attentions:
        if isinstance(attention, SelfAttention):
            joint = attention.query_key_value_projection
            parts = list(zip(joint.weight.chunk(3), joint.bias.chunk(3), strict=True))
        else:
            query, key_value = attention.query_projection, attention.key_value_projection
            parts = [(query.weight, query.bias)]
            parts += zip(key_value.weight.chunk(2), key_value.bias.chunk(2), strict=True)
        for letter, (weight, bias) in zip("qkv", parts, strict=True):
            add(f"{name}.{letter}_proj", weight[:, order], bias)
        add_writing(f"{name}.out_proj", attention.output_projection)
        norms.append((f"{name}_layer_norm", norm))
    inner = layer.feed_forward.inner_projection
    add("fc1", inner.weight[:, order], inner.bias)
    add_writing("fc2", layer.feed_forward.output_projection)
    for name, norm in norms:
        add(name, norm.weight[order], norm.bias, lambda bias: bias[order])
    return found


def _config(loaded: LoadedModel) -> dict[str, Any]:
    config, tokenizers = loaded.config.model, loaded.tokenizers
    heads = [x if isinstance(x, int) else x[0] for x in (config.encoder_heads, config.decoder_heads)]
    return {
        "model_type": "marian",
        "architectures": ["MarianMTModel"],
        "is_encoder_decoder": True,
        "vocab_size": tokenizers.source.vocab_size,
        "decoder_vocab_size": tokenizers.target.vocab_size,
        "share_encoder_decoder_embeddings": config.tied_embeddings == "all",
        "tie_word_embeddings": config.tied_embeddings != "none",
        "d_model": config.d_model,
        "encoder_layers": config.encoder_layers,
        "decoder_layers": config.decoder_layers,
        "encoder_attention_heads": heads[0],
        "decoder_attention_heads": heads[1],
        "encoder_ffn_dim": config.d_ff,
        "decoder_ffn_dim": config.d_ff,
        "activation_function": config.activation,
        "scale_embedding": True,
        "max_position_embeddings": config.max_positions,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "activation_dropout": config.activation_dropout,
        "bos_token_id": BOS_ID,
        "eos_token_id": EOS_ID,
        # Marian starts the decoder with its padding token. Here this is BOS, so that no row is added.
        "pad_token_id": BOS_ID,
        "decoder_start_token_id": BOS_ID,
        "forced_eos_token_id": None,  # the default, 0, is UNK here
        "torch_dtype": "float32",
    }


def _generation_config(loaded: LoadedModel) -> dict[str, Any]:
    decoding = loaded.config.decoding
    return {
        "bos_token_id": BOS_ID,
        "eos_token_id": EOS_ID,
        "pad_token_id": BOS_ID,
        "decoder_start_token_id": BOS_ID,
        "forced_eos_token_id": None,
        "suppress_tokens": [UNK_ID, BOS_ID],
        "begin_suppress_tokens": [EOS_ID],
        "num_beams": decoding.beam_size,
        "length_penalty": LENGTH_PENALTY_FACTOR * decoding.length_penalty,
        "early_stopping": False,
        "max_length": loaded.config.model.max_positions + 1,
    }


def _tokenizer_config(loaded: LoadedModel) -> dict[str, Any]:
    return {
        "tokenizer_class": "MarianTokenizer",
        "source_lang": loaded.config.data.source_language,
        "target_lang": loaded.config.data.target_language,
        "unk_token": "<unk>",
        "eos_token": "</s>",
        "pad_token": "<s>",
        "separate_vocabs": not loaded.tokenizers.is_joint,
        "model_max_length": loaded.config.model.max_positions,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # otherwise a typed `</s>` ends the sentence
    }
