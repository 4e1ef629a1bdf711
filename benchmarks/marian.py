"""Hugging Face's `MarianMTModel` in the size of a benchmark. Imports nothing of this project."""

from __future__ import annotations

from typing import Protocol

from transformers import MarianConfig, MarianMTModel

MAX_POSITIONS = 512


class Shape(Protocol):
    """Size of the encoder-decoder; `layers` and `heads` are those of each stack."""

    @property
    def d_model(self) -> int: ...
    @property
    def d_ff(self) -> int: ...
    @property
    def layers(self) -> int: ...
    @property
    def heads(self) -> int: ...


def build_marian(
    shape: Shape, vocab_size: int, special_ids: tuple[int, int, int], *, dropout: float, activation_dropout: float
) -> MarianMTModel:
    """Return a model with random weights, post-norm, with tied embeddings and `scaled_dot_product_attention`.

    Args:
        shape: size of the model.
        vocab_size: size of the vocabulary, special tokens included.
        special_ids: ids of padding, begin and end of a sentence.
        dropout: dropout rate of sublayers, embeddings and attention weights.
        activation_dropout: dropout rate of the activations of feed-forward networks.
    """
    pad, bos, eos = special_ids
    return MarianMTModel(
        MarianConfig(
            vocab_size=vocab_size,
            d_model=shape.d_model,
            encoder_layers=shape.layers,
            decoder_layers=shape.layers,
            encoder_attention_heads=shape.heads,
            decoder_attention_heads=shape.heads,
            encoder_ffn_dim=shape.d_ff,
            decoder_ffn_dim=shape.d_ff,
            activation_function="relu",
            scale_embedding=True,
            dropout=dropout,
            attention_dropout=dropout,
            activation_dropout=activation_dropout,
            max_position_embeddings=MAX_POSITIONS,
            pad_token_id=pad,
            bos_token_id=bos,
            eos_token_id=eos,
            decoder_start_token_id=bos,
            forced_eos_token_id=None,
            attn_implementation="sdpa",
        )
    )
