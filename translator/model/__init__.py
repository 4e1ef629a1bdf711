"""The Transformer: attention, layers, embeddings, and the models wired from them."""

from translator.model.models import IGNORE_INDEX, DecodingState, EncoderDecoder, build_model

__all__ = ["IGNORE_INDEX", "DecodingState", "EncoderDecoder", "build_model"]
