"""Attention maps: the attention weights between the tokens of a sentence pair, in every layer and head.

Training and translation never store these weights. Hooks record the inputs of each attention in one forward pass, and
the reference implementation recomputes the weights from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from translator.config import change_decoding
from translator.inference.translator import Translator
from translator.inspection.reading import (
    InspectionError,
    as_text,
    encoder_decoder,
    read_sentence,
    spell,
    word_groups,
)
from translator.kernels.reference import attention_weights
from translator.model import EncoderDecoder
from translator.model.attention import CrossAttention, SelfAttention
from translator.model.layers import TransformerLayer
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID

Kind = Literal["encoder", "decoder", "cross"]
KINDS: tuple[Kind, ...] = ("encoder", "decoder", "cross")


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """One kind of attention in all layers and heads.

    Attributes:
        kind: `encoder` or `decoder` self-attention, or `cross` from the decoder to the encoder's output.
        queries: attending tokens; in `cross`, the token about to be generated.
        keys: attended tokens.
        layers: for each layer `(heads, num_queries, num_keys)` float32; each row sums to one.
    """

    kind: Kind
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    layers: tuple[NDArray[np.float32], ...]

    def head(self, layer: int, head: int) -> NDArray[np.float32]:
        """Return the weights of one head, `(num_queries, num_keys)`; layers and heads count from 1.

        Raises:
            InspectionError: if the layer or head does not exist.
        """
        self.check(layer, head)
        weights: NDArray[np.float32] = self.layers[layer - 1][head - 1]
        return weights

    def check(self, layer: int | None, head: int | None) -> None:
        """Raise InspectionError if a layer or head, counted from 1, does not exist; None is any.

        Raises:
            InspectionError: if the layer or head does not exist.
        """
        if layer is not None and not 1 <= layer <= len(self.layers):
            raise InspectionError(
                f"A layer of {self.kind} attention must be from 1 to {len(self.layers)}. Received: {layer}."
            )
        chosen = self.layers if layer is None else self.layers[layer - 1 : layer]
        most = max(len(weights) for weights in chosen)
        if head is not None and not 1 <= head <= most:
            place = "" if layer is None else f" in layer {layer}"
            raise InspectionError(f"A head of {self.kind} attention{place} must be from 1 to {most}. Received: {head}.")

    def as_words(self) -> AttentionMap:
        """Merge the tokens of each word.

        Attention to a word is the sum over its tokens, attention from a word the mean over its tokens (Clark et al.,
        2019, section 4.1), so that rows still sum to one.
        """
        rows, columns = word_groups(self.queries), word_groups(self.keys)
        return AttentionMap(
            self.kind,
            tuple(spell([self.queries[index] for index in group]) for group in rows),
            tuple(spell([self.keys[index] for index in group]) for group in columns),
            tuple(_merged(weights, rows, columns) for weights in self.layers),
        )


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Attention maps of one translation.

    Attributes:
        source: source text.
        target: its translation.
        encoder: self-attention of the source tokens.
        decoder: causal self-attention of the decoder's input tokens.
        cross: attention of each token about to be generated to the source tokens.
    """

    source: str
    target: str
    encoder: AttentionMap
    decoder: AttentionMap
    cross: AttentionMap

    def of(self, kind: Kind) -> AttentionMap:
        """Return the map of one kind."""
        return {"encoder": self.encoder, "decoder": self.decoder, "cross": self.cross}[kind]


def attention_maps(translator: Translator, sentence: str, target: str | None = None) -> AttentionMaps:
    """Return the attention maps of a sentence and its translation.

    Args:
        translator: translator with an encoder-decoder model.
        sentence: text in the source language.
        target: its translation; by default the model's own, with the decoding options of its configuration.

    Raises:
        InspectionError: if the sentence or the target is empty or too long.
    """
    model, device = encoder_decoder(translator)
    sentence, source_ids = read_sentence(translator, sentence)
    source = Packed.from_sequences([[*source_ids, EOS_ID]]).to(device)
    outputs = _translated(translator, source_ids) if target is None else _given(translator, target)
    inputs = [BOS_ID, *outputs[:-1]]
    encoder, decoder, cross = _weights(model, source, Packed.from_sequences([inputs]).to(device))
    source_pieces = tuple(translator.tokenizers.source.pieces([*source_ids, EOS_ID]))
    target_pieces = tuple(translator.tokenizers.target.pieces(inputs))
    written = tuple(translator.tokenizers.target.pieces(outputs))
    return AttentionMaps(
        source=sentence,
        target=translator.tokenizers.target.decode(outputs),
        encoder=AttentionMap("encoder", source_pieces, source_pieces, encoder),
        decoder=AttentionMap("decoder", target_pieces, target_pieces, decoder),
        cross=AttentionMap("cross", written, source_pieces, cross),
    )


def recomputed_weights(attention: SelfAttention | CrossAttention, inputs: tuple[Any, ...]) -> Tensor:
    """Recompute the attention weights of a module for a batch of one sequence.

    Args:
        attention: the module.
        inputs: positional arguments of its call.

    Returns:
        `(heads, num_queries, num_keys)`.
    """
    queries, keys, _ = attention.queries_keys_values(*inputs)
    return attention_weights(queries, keys, causal=attention.causal, scale=attention.scale)


Layers = tuple[NDArray[np.float32], ...]


@torch.inference_mode()
def _weights(model: EncoderDecoder, source: Packed, target_input: Packed) -> tuple[Layers, Layers, Layers]:
    """Return the weights of encoder, decoder and cross-attention, layer by layer, in one forward pass."""
    modules = [layer for stack in (model.encoder, model.decoder) for layer in stack.layers]
    layers = [layer for layer in modules if isinstance(layer, TransformerLayer)]
    with _captured(layers) as weights:
        model(source, target_input)
    encoder, decoder = (
        [weights[layer.self_attention] for layer in layers if (layer.cross_attention is None) == is_encoder]
        for is_encoder in (True, False)
    )
    cross = [weights[layer.cross_attention] for layer in layers if layer.cross_attention is not None]
    return tuple(encoder), tuple(decoder), tuple(cross)


@contextmanager
def _captured(layers: Sequence[TransformerLayer]) -> Iterator[dict[nn.Module, NDArray[np.float32]]]:
    """Within the context, store the weights of each attention of the layers in the dictionary."""
    weights: dict[nn.Module, NDArray[np.float32]] = {}

    def keep(attention: SelfAttention | CrossAttention, inputs: tuple[Any, ...], output: Tensor) -> None:
        weights[attention] = recomputed_weights(attention, inputs).float().cpu().numpy()

    attentions = [a for layer in layers for a in (layer.self_attention, layer.cross_attention) if a is not None]
    hooks = [attention.register_forward_hook(keep) for attention in attentions]
    try:
        yield weights
    finally:
        for hook in hooks:
            hook.remove()


def _translated(translator: Translator, source_ids: Sequence[int]) -> list[int]:
    """Return the ids of the model's own translation, EOS last if it is finished."""
    options = change_decoding(translator.decoding, {"num_hypotheses": 1})
    [[best, *_]] = translator.engine.search([translator.request(source_ids, options)], options)
    return [*best.tokens, EOS_ID] if best.is_finished else list(best.tokens)


def _given(translator: Translator, target: str) -> list[int]:
    """Return the ids of a given translation, EOS last."""
    target = as_text(target)
    ids = translator.tokenizers.target.encode(target)
    if not ids:
        raise InspectionError(
            f"A target must contain text. Received: {target!r}. Omit it to use the model's own translation."
        )
    if len(ids) >= translator.engine.max_positions:
        raise InspectionError(
            f"A target must have at most {translator.engine.max_positions - 1} tokens. Received: {len(ids)} tokens."
        )
    return [*ids, EOS_ID]


def _merged(
    weights: NDArray[np.float32], rows: Sequence[Sequence[int]], columns: Sequence[Sequence[int]]
) -> NDArray[np.float32]:
    """Average `(heads, num_queries, num_keys)` over each group of rows, and sum over each group of columns."""
    means = np.stack([weights[:, list(group)].mean(axis=1) for group in rows], axis=1)
    merged: NDArray[np.float32] = np.stack([means[:, :, list(group)].sum(axis=2) for group in columns], axis=2)
    return merged
