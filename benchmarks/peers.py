"""The models of other toolkits for the benchmarks: as large as ours, with random weights.

Their packages are no dependencies of ours. One that cannot be imported leaves its contestants out, and a line on stderr
says which it is.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from training_step import LABEL_SMOOTHING, PaddedBatch

from translator.model.embedding import sinusoids
from translator.tokenizer import BOS_ID, EOS_ID

PAD_ID = 0  # the random token ids start above the special ones
LONGEST = 512  # positions


def is_here(package: str) -> bool:
    """Whether a peer's package can be imported."""
    try:
        importlib.import_module(package)
    except (ImportError, OSError) as error:  # OSError: a library that it needs is missing
        leave_out(f"package {package}", error)
        return False
    return True


def leave_out(name: str, error: Exception) -> None:
    """Say which contestant is not measured, and why."""
    print(f"# left out: {name}: {str(error).strip().splitlines()[0]}", file=sys.stderr)


class Marian(nn.Module):
    """Hugging Face's `MarianMTModel`, with tied embeddings and `scaled_dot_product_attention`."""

    def __init__(self, d_model: int, d_ff: int, layers: int, heads: int, dropout: float, pieces: int) -> None:
        super().__init__()
        from transformers import MarianConfig, MarianMTModel

        config = MarianConfig(
            vocab_size=pieces,
            d_model=d_model,
            encoder_layers=layers,
            decoder_layers=layers,
            encoder_attention_heads=heads,
            decoder_attention_heads=heads,
            encoder_ffn_dim=d_ff,
            decoder_ffn_dim=d_ff,
            activation_function="relu",
            scale_embedding=True,
            dropout=dropout,
            attention_dropout=dropout,
            max_position_embeddings=LONGEST,
            pad_token_id=PAD_ID,
            eos_token_id=EOS_ID,
            decoder_start_token_id=BOS_ID,
            forced_eos_token_id=None,
            attn_implementation="sdpa",
        )
        self.marian = MarianMTModel(config)

    def loss(self, batch: PaddedBatch) -> tuple[Tensor, int]:
        """Summed loss of the real tokens, smoothed, and their number: no vocabulary is projected at padding."""
        hidden = self.marian.model(
            input_ids=batch.source,
            attention_mask=None if batch.source_padding is None else (~batch.source_padding).long(),
            decoder_input_ids=batch.target_input,
            use_cache=False,
        ).last_hidden_state
        logits = self.marian.lm_head(hidden[batch.is_token])
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=LABEL_SMOOTHING, reduction="sum")
        return loss, len(batch.labels)

    @torch.inference_mode()
    def translate(self, source: Tensor, length: int, beams: int) -> int:
        """Translate `(sentences, source length)`, padded, to `length` tokens each; gives their number."""
        found = self.marian.generate(
            input_ids=source,
            attention_mask=(source != PAD_ID).long(),
            do_sample=False,
            num_beams=beams,
            min_new_tokens=length,
            max_new_tokens=length,
        )
        return found[:, 1:].numel()  # behind BOS


class CTranslate2:
    """A CTranslate2 translator whose weights are written as its converters write them.

    Args:
        d_model: width.
        d_ff: inner width of the feed-forward network.
        layers: of the encoder, and of the decoder.
        heads: of attention.
        pieces: of the vocabulary.
        device: cpu (float32) or cuda (float16).
    """

    def __init__(self, d_model: int, d_ff: int, layers: int, heads: int, pieces: int, device: str) -> None:
        import ctranslate2

        spec = ctranslate2.specs.TransformerSpec.from_config((layers, layers), heads, pre_norm=True)
        embedding = _random(pieces, d_model)
        for stack, place in ((spec.encoder, spec.encoder.embeddings[0]), (spec.decoder, spec.decoder.embeddings)):
            place.weight = embedding
            stack.scale_embeddings = True
            stack.position_encodings.encodings = sinusoids(LONGEST, d_model, "interleaved").numpy()
            _fill_norm(stack.layer_norm, d_model)
            for layer in stack.layer:
                _fill_layer(layer, d_model, d_ff)
        spec.decoder.projection.weight = embedding
        spec.decoder.projection.bias = _zeros(pieces)
        self.names = ["<unk>", "<s>", "</s>", *(f"piece {i}" for i in range(3, pieces))]
        spec.register_source_vocabulary(self.names)
        spec.register_target_vocabulary(self.names)
        spec.validate()
        spec.optimize()
        with tempfile.TemporaryDirectory() as folder:
            spec.save(folder)
            compute_type = "float16" if device == "cuda" else "float32"
            # on the CPU as many batches at once as ours: each of them on one thread
            options = {"compute_type": compute_type, "inter_threads": torch.get_num_threads(), "intra_threads": 1}
            self.translator = ctranslate2.Translator(folder, device=device, **options)

    def translate(self, source: Tensor, length: int, beams: int) -> int:
        """As `Marian.translate`."""
        found = self.translator.translate_batch(
            [[self.names[piece] for piece in sentence if piece != PAD_ID] for sentence in source.tolist()],
            beam_size=beams,
            min_decoding_length=length,
            max_decoding_length=length,
        )
        return sum(len(each.hypotheses[0]) for each in found)


def _random(*shape: int) -> Any:
    return torch.randn(shape).mul(shape[-1] ** -0.5).numpy()


def _zeros(size: int) -> Any:
    return torch.zeros(size).numpy()


def _fill_norm(norm: Any, d_model: int) -> None:
    norm.gamma, norm.beta = torch.ones(d_model).numpy(), _zeros(d_model)


def _fill_linear(linear: Any, outputs: int, inputs: int) -> None:
    linear.weight, linear.bias = _random(outputs, inputs), _zeros(outputs)


def _fill_layer(layer: Any, d_model: int, d_ff: int) -> None:
    """One layer of either stack; the products of queries, keys and values are one where they have one input."""
    queries_keys_values, output = layer.self_attention.linear
    _fill_norm(layer.self_attention.layer_norm, d_model)
    _fill_linear(queries_keys_values, 3 * d_model, d_model)
    _fill_linear(output, d_model, d_model)
    if hasattr(layer, "attention"):
        queries, keys_values, output = layer.attention.linear
        _fill_norm(layer.attention.layer_norm, d_model)
        _fill_linear(queries, d_model, d_model)
        _fill_linear(keys_values, 2 * d_model, d_model)
        _fill_linear(output, d_model, d_model)
    _fill_norm(layer.ffn.layer_norm, d_model)
    _fill_linear(layer.ffn.linear_0, d_ff, d_model)
    _fill_linear(layer.ffn.linear_1, d_model, d_ff)
