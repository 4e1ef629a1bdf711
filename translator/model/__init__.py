"""Transformer models: encoder-decoder, encoder-only and decoder-only."""

from translator.model.base import DecodingState, SequenceBatch
from translator.model.build import Model, build_model
from translator.model.decoder_only import DecoderOnly
from translator.model.encoder_decoder import EncoderDecoder
from translator.model.encoder_only import EncoderOnly
from translator.packing import IGNORE_INDEX

__all__ = [
    "IGNORE_INDEX",
    "DecoderOnly",
    "DecodingState",
    "EncoderDecoder",
    "EncoderOnly",
    "Model",
    "SequenceBatch",
    "build_model",
]
