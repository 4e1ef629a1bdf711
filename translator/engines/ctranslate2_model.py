"""Conversion of an encoder-decoder model to CTranslate2's format, through its specification API.

Every variation of the model can be expressed: pre- and post-norm, all positional encodings, gated and plain
activations, heads by layer. `export.parity` checks the result on sentences.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from translator.checkpoint import LoadedModel
from translator.config import ModelConfig
from translator.decoding.errors import DecodingError
from translator.model import EncoderDecoder
from translator.model.attention import CrossAttention, SelfAttention
from translator.model.layers import FeedForward, TransformerLayer, TransformerStack
from translator.tokenizer import Tokenizer

Quantization = Literal["int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16"]

_OLDEST = (4, 6, 3)  # the first version whose encoder takes rotary positions
_REQUIREMENT = "ctranslate2>=4.6.3,<5"
_ROTARY = {"rotary_dim": 0, "rotary_interleave": False, "rotary_base": 10000}  # 0: the whole head


def obstacles(config: ModelConfig) -> list[str]:
    """Return everything that keeps a model from being converted here, one line each; empty if nothing does."""
    found = []
    if config.architecture != "encoder_decoder":
        found.append(f"model.architecture must be encoder_decoder. Received: {config.architecture}.")
    if (problem := package_problem()) is not None:
        found.append(problem)
    return found


def package_problem() -> str | None:
    """Return the reason that the package ctranslate2 cannot be used, or None."""
    advice = f"Install it: pip install '{_REQUIREMENT}'."
    try:
        version = importlib.metadata.version("ctranslate2")
    except importlib.metadata.PackageNotFoundError:
        return f"CTranslate2 is not installed. {advice}"
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if not _OLDEST <= numbers < (5,):
        return f"CTranslate2 must be {_REQUIREMENT}. Received: {version}. {advice}"
    return None


def require_convertible(config: ModelConfig) -> None:
    """Check that a model can be converted.

    Raises:
        DecodingError: if it cannot; names all obstacles.
    """
    if found := obstacles(config):
        raise DecodingError("The model cannot be converted to CTranslate2's format:\n  " + "\n  ".join(found))


def write_model(loaded: LoadedModel, directory: Path, quantization: Quantization | None = None) -> None:
    """Write `model.bin`, `config.json` and the vocabularies of CTranslate2. Equal models give equal bytes.

    Args:
        loaded: the model, which `require_convertible` accepts.
        directory: existing folder.
        quantization: data type of the stored weights; None is float32.

    Raises:
        OSError: if a file cannot be written.
    """
    assert isinstance(loaded.model, EncoderDecoder)
    tokenizers = loaded.tokenizers
    specification = specification_of(
        loaded.config.model, loaded.model, vocabulary(tokenizers.source), vocabulary(tokenizers.target)
    )
    specification.validate()
    specification.optimize(quantization=quantization)
    specification.save(str(directory))


def specification_of(
    config: ModelConfig, model: EncoderDecoder, source_vocabulary: list[str], target_vocabulary: list[str]
) -> Any:
    """Return the `ctranslate2.specs.TransformerSpec` of a model with a copy of its weights, unquantized.

    Args:
        config: configuration of the model.
        model: the model.
        source_vocabulary: pieces of the source by id.
        target_vocabulary: pieces of the target by id.
    """
    from ctranslate2 import specs

    activations = {
        "relu": specs.Activation.RELU,
        "gelu": specs.Activation.GELU,
        "swish": specs.Activation.SWISH,
        "swiglu": specs.Activation.SWISH,
    }
    options = {
        "pre_norm": True,  # only then the specification has a final norm; set to the model's own value below
        "no_final_norm": isinstance(model.encoder.final_norm, nn.Identity),
        "activation": activations[config.activation],
        "ffn_glu": config.activation == "swiglu",
    } | (_ROTARY if config.positions == "rotary" else {})
    encoder = specs.TransformerEncoderSpec(config.encoder_layers, _max_heads(model.encoder), **options)
    decoder = specs.TransformerDecoderSpec(config.decoder_layers, _max_heads(model.decoder), **options)
    encoder.embeddings[0].weight = _array(model.source_embedding.weight)
    decoder.embeddings.weight = _array(model.target_embedding.weight)
    decoder.projection.weight = _array(model.output_embedding.weight)
    if model.output_bias is not None:
        decoder.projection.bias = _array(model.output_bias)
    for place, stack in ((encoder, model.encoder), (decoder, model.decoder)):
        place.pre_norm = config.norm == "pre"
        place.scale_embeddings = True  # times sqrt(d_model)
        if model.positions is not None:
            place.position_encodings.encodings = _array(model.positions.table)
        _fill_stack(place, stack)
    _fill_alignment(decoder, model)
    specification = specs.TransformerSpec(encoder, decoder)
    _fill_config(specification.config)
    specification.register_source_vocabulary(source_vocabulary)
    specification.register_target_vocabulary(target_vocabulary)
    return specification


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """Return all pieces of a tokenizer by id."""
    return tokenizer.pieces(range(tokenizer.vocab_size))


def _fill_config(config: Any) -> None:
    config.add_source_bos, config.add_source_eos = False, True
    config.bos_token, config.eos_token, config.unk_token = "<s>", "</s>", "<unk>"
    config.decoder_start_token = "<s>"
    config.layer_norm_epsilon = 1e-5


def _fill_alignment(decoder: Any, model: EncoderDecoder) -> None:
    """Name the layer and the first heads of it whose mean is returned as attention; an alignment head comes first.

    Heads of zeros, which fill up a layer with fewer heads than others, come last. They do not count in the mean.
    """
    attention, head = model.decoder_layers()[model.alignment_layer].cross_attention, model.alignment_head
    assert attention is not None
    decoder.alignment_layer = np.dtype("int16").type(model.alignment_layer)
    decoder.alignment_heads = np.dtype("int16").type(attention.num_heads if head is None else 1)
    if head is not None:
        *inputs, output = decoder.layer[model.alignment_layer].attention.linear
        heads = output.weight.shape[1] // attention.head_dim
        order = [head, *(other for other in range(heads) if other != head)]
        for linear in inputs:
            linear.weight = _reordered(linear.weight, order, attention.head_dim)
            linear.bias = _reordered(linear.bias, order, attention.head_dim)
        output.weight = np.ascontiguousarray(_reordered(output.weight.T, order, attention.head_dim).T)


def _reordered(rows: np.ndarray, order: Sequence[int], head_dim: int) -> np.ndarray:
    """Return the rows of one or several projections with their heads in another order."""
    by_head = rows.reshape(-1, len(order), head_dim, *rows.shape[1:])
    reordered: np.ndarray = by_head[:, order].reshape(rows.shape)
    return reordered


def _fill_stack(place: Any, stack: TransformerStack) -> None:
    if not isinstance(stack.final_norm, nn.Identity):
        _fill_norm(place.layer_norm, stack.final_norm)
    for layer_place, layer in zip(place.layer, stack.layers, strict=True):
        assert isinstance(layer, TransformerLayer)
        _fill_attention(layer_place.self_attention, layer.self_attention, _max_heads(stack))
        _fill_norm(layer_place.self_attention.layer_norm, layer.self_attention_norm)
        if layer.cross_attention is not None:
            _fill_attention(layer_place.attention, layer.cross_attention, _max_heads(stack))
            _fill_norm(layer_place.attention.layer_norm, layer.cross_attention_norm)
        _fill_feed_forward(layer_place.ffn, layer.feed_forward)
        _fill_norm(layer_place.ffn.layer_norm, layer.feed_forward_norm)


def _fill_attention(place: Any, attention: SelfAttention | CrossAttention, max_heads: int) -> None:
    """Fill an attention layer; heads of zeros, which add nothing, replace those that it has fewer than its stack."""
    missing = (max_heads - attention.num_heads) * attention.head_dim
    if missing:
        place.__dict__["head_dim"] = np.dtype("int32").type(attention.head_dim)
    if isinstance(attention, SelfAttention):
        groups = [_parts(attention.query_key_value_projection, 3)]
    else:
        groups = [_parts(attention.query_projection, 1), _parts(attention.key_value_projection, 2)]
    for linear, parts in zip(place.linear, groups, strict=False):  # the last linear layer is the output projection
        linear.weight = np.concatenate([np.pad(weight, ((0, missing), (0, 0))) for weight, _ in parts])
        linear.bias = np.concatenate([np.pad(bias, (0, missing)) for _, bias in parts])
    place.linear[-1].weight = np.pad(_array(attention.output_projection.weight), ((0, 0), (0, missing)))
    place.linear[-1].bias = _array(attention.output_projection.bias)


def _fill_feed_forward(place: Any, feed_forward: FeedForward) -> None:
    parts = _parts(feed_forward.inner_projection, 2 if feed_forward.is_gated else 1)
    places: Sequence[Any] = (place.linear_0, place.linear_0_noact) if feed_forward.is_gated else (place.linear_0,)
    for linear, (weight, bias) in zip(places, parts, strict=True):
        linear.weight, linear.bias = weight, bias
    [(place.linear_1.weight, place.linear_1.bias)] = _parts(feed_forward.output_projection, 1)


def _fill_norm(place: Any, norm: nn.Module) -> None:
    assert isinstance(norm, nn.LayerNorm)
    place.gamma, place.beta = _array(norm.weight), _array(norm.bias)


def _parts(linear: nn.Linear, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weight and bias of the `count` projections that one linear layer holds, their rows in turn."""
    weights, biases = linear.weight.chunk(count), linear.bias.chunk(count)
    return [(_array(weight), _array(bias)) for weight, bias in zip(weights, biases, strict=True)]


def _max_heads(stack: TransformerStack) -> int:
    return max(layer.self_attention.num_heads for layer in stack.layers if isinstance(layer, TransformerLayer))


def _array(tensor: Tensor) -> np.ndarray:
    """Return a copy: CTranslate2 quantizes arrays in place."""
    return tensor.detach().float().cpu().contiguous().numpy().copy()
