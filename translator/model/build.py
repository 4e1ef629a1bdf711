"""Building a model from its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from translator.model.decoder_only import DecoderOnly
from translator.model.encoder_decoder import EncoderDecoder
from translator.model.encoder_only import EncoderOnly
from translator.model.layers import LayerOptions

if TYPE_CHECKING:
    from translator.config import ModelConfig

Model = EncoderDecoder | EncoderOnly | DecoderOnly


def build_model(
    config: ModelConfig,
    source_vocab_size: int,
    target_vocab_size: int,
    label_smoothing: float = 0.0,
    num_labels: int = 0,
) -> Model:
    """Return a model with random weights, drawn from torch's default generator.

    Args:
        config: the `model` section of a configuration.
        source_vocab_size: size of the source vocabulary.
        target_vocab_size: size of the target vocabulary.
        label_smoothing: label smoothing of the training loss.
        num_labels: number of classes of an encoder-only classifier; 0 for no classifier.
    """
    options = LayerOptions(
        d_model=config.d_model,
        d_ff=config.d_ff,
        norm=config.norm,
        activation=config.activation,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        activation_dropout=config.activation_dropout,
        rotary_positions=config.max_positions if config.positions == "rotary" else None,
        attention=config.attention,
    )
    encoder_heads = _per_layer(config.encoder_heads, config.encoder_layers)
    decoder_heads = _per_layer(config.decoder_heads, config.decoder_layers)
    shared = _SharedArguments(
        positions=config.sinusoids if config.positions == "sinusoidal" else config.positions,
        max_positions=config.max_positions,
        final_norm=config.norm == "pre" if config.final_norm is None else config.final_norm,
        label_smoothing=label_smoothing,
    )
    is_tied = config.tied_embeddings != "none"
    match config.architecture:
        case "encoder_decoder":
            return EncoderDecoder(
                options,
                encoder_heads=encoder_heads,
                decoder_heads=decoder_heads,
                source_vocab_size=source_vocab_size,
                target_vocab_size=target_vocab_size,
                tied_embeddings=config.tied_embeddings,
                output_bias=config.output_bias,
                alignment_layer=_from_zero(config.alignment_layer),
                alignment_head=_from_zero(config.alignment_head),
                **shared,
            )
        case "encoder_only":
            return EncoderOnly(
                options,
                heads=encoder_heads,
                vocab_size=source_vocab_size,
                is_tied=is_tied,
                num_labels=num_labels,
                **shared,
            )
        case "decoder_only":
            return DecoderOnly(options, heads=decoder_heads, vocab_size=target_vocab_size, is_tied=is_tied, **shared)


class _SharedArguments(TypedDict):
    """Arguments that every architecture takes."""

    positions: str
    max_positions: int
    final_norm: bool
    label_smoothing: float


def _from_zero(number: int | None) -> int | None:
    return None if number is None else number - 1


def _per_layer(heads: int | Sequence[int], layers: int) -> Sequence[int]:
    return [heads] * layers if isinstance(heads, int) else heads
