"""Activations of a model: the output of each of its parts, recorded in one forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from translator.model import EncoderDecoder
from translator.model.layers import TransformerStack
from translator.packing import Packed

# Parts of a TransformerLayer, and their names in a trace.
_SUBLAYERS = {
    "self_attention_norm": "self-attention norm",
    "self_attention": "self-attention",
    "cross_attention_norm": "cross-attention norm",
    "cross_attention": "cross-attention",
    "feed_forward_norm": "feed-forward norm",
    "feed_forward": "feed-forward",
}


@dataclass(frozen=True)
class Activation:
    """Output of one part of the model: one vector per token.

    Attributes:
        name: name of the part.
        shape: `(num_tokens, d_model)`.
        norms: Euclidean norm of each vector.
        values: first numbers of each vector.
    """

    name: str
    shape: tuple[int, ...]
    norms: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]


@torch.inference_mode()
def record_embeddings(
    model: EncoderDecoder, source: Packed, num_values: int
) -> tuple[Activation, Activation | None, Activation]:
    """Return the embeddings, the positions and their sum, the encoder input."""
    vectors = model.source_embedding(source.values)
    embedding = _activation("embedding", vectors, num_values)
    if model.positions is None:
        return embedding, None, embedding
    positions = model.positions(source.positions())
    total = _activation("embedding + positions", vectors + positions, num_values)
    return embedding, _activation("positions", positions, num_values), total


@torch.inference_mode()
def record_activations(
    model: EncoderDecoder, source: Packed, target_input: Packed, num_values: int
) -> tuple[list[Activation], list[Activation]]:
    """Return the output of each sublayer of encoder and decoder in one forward pass; that of the stack is last."""
    with _recorded(model.encoder, num_values) as encoder, _recorded(model.decoder, num_values) as decoder:
        model(source, target_input)
    return encoder, decoder


@contextmanager
def _recorded(stack: TransformerStack, num_values: int) -> Iterator[list[Activation]]:
    """Within the context, append the output of each part of the stack to the list."""
    activations: list[Activation] = []

    def record(module: nn.Module, name: str) -> RemovableHandle:
        return module.register_forward_hook(
            lambda module, inputs, output: activations.append(_activation(name, output, num_values))
        )

    hooks = []
    for number, layer in enumerate(stack.layers, start=1):
        parts = dict(layer.named_children())
        present = [(parts[part], name) for part, name in _SUBLAYERS.items() if part in parts]
        hooks += [record(module, f"layer {number}: {name}") for module, name in present]
        hooks.append(record(layer, f"layer {number}"))
    hooks.append(record(stack, "output"))
    try:
        yield activations
    finally:
        for hook in hooks:
            hook.remove()


def _activation(name: str, x: Tensor, num_values: int) -> Activation:
    """Summarize `x: (num_tokens, d_model)`."""
    x = x.float()
    return Activation(
        name=name,
        shape=tuple(x.shape),
        norms=tuple(x.norm(dim=-1).tolist()),
        values=tuple(map(tuple, x[:, :num_values].tolist())),
    )
