"""Models of other toolkits as baselines of the benchmarks: same shape, random weights.

Their packages are not dependencies of this project. Baselines whose package cannot be imported are skipped, with a
message on stderr.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from workload import LABEL_SMOOTHING, PAD_ID, PaddedBatch, Shape

from translator.model.embedding import sinusoids
from translator.tokenizer import BOS_ID, EOS_ID

MAX_POSITIONS = 512


def is_installed(package: str) -> bool:
    """Return True if the package of a baseline can be imported; otherwise print why not."""
    try:
        importlib.import_module(package)
    except (ImportError, OSError) as error:  # OSError: a shared library is missing
        print_skipped(f"package {package}", error)
        return False
    return True


def print_skipped(name: str, error: Exception) -> None:
    """Print which baseline is not measured, and why."""
    print(f"# skipped: {name}: {str(error).strip().splitlines()[0]}", file=sys.stderr)


class Marian(nn.Module):
    """Hugging Face's `MarianMTModel`, with tied embeddings and `scaled_dot_product_attention`."""

    def __init__(self, shape: Shape, vocab_size: int, dropout: float) -> None:
        super().__init__()
        from transformers import MarianConfig, MarianMTModel

        config = MarianConfig(
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
            max_position_embeddings=MAX_POSITIONS,
            pad_token_id=PAD_ID,
            eos_token_id=EOS_ID,
            decoder_start_token_id=BOS_ID,
            forced_eos_token_id=None,
            attn_implementation="sdpa",
        )
        self.marian = MarianMTModel(config)

    def loss(self, batch: PaddedBatch) -> tuple[Tensor, int]:
        """Return the summed, smoothed loss and its number of tokens. Padding is not projected onto the vocabulary."""
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
        """Translate padded sources `(sentences, length)` to `length` tokens each, and return the number of tokens."""
        found = self.marian.generate(
            input_ids=source,
            attention_mask=(source != PAD_ID).long(),
            do_sample=False,
            num_beams=beams,
            min_new_tokens=length,
            max_new_tokens=length,
        )
        return found[:, 1:].numel()  # after BOS


class CTranslate2:
    """A CTranslate2 translator, with weights written as its converters write them.

    Args:
        shape: size of the model.
        vocab_size: size of the vocabulary.
        device: cpu (float32) or cuda (float16).
    """

    def __init__(self, shape: Shape, vocab_size: int, device: str) -> None:
        import ctranslate2

        spec = ctranslate2.specs.TransformerSpec.from_config((shape.layers, shape.layers), shape.heads, pre_norm=True)
        embedding = _random(vocab_size, shape.d_model)
        for stack, embeddings in ((spec.encoder, spec.encoder.embeddings[0]), (spec.decoder, spec.decoder.embeddings)):
            embeddings.weight = embedding
            stack.scale_embeddings = True
            stack.position_encodings.encodings = sinusoids(MAX_POSITIONS, shape.d_model, "interleaved").numpy()
            _fill_norm(stack.layer_norm, shape.d_model)
            for layer in stack.layer:
                _fill_layer(layer, shape)
        spec.decoder.projection.weight = embedding
        spec.decoder.projection.bias = _zeros(vocab_size)
        self.names = ["<unk>", "<s>", "</s>", *(f"token {i}" for i in range(3, vocab_size))]
        spec.register_source_vocabulary(self.names)
        spec.register_target_vocabulary(self.names)
        spec.validate()
        spec.optimize()
        with tempfile.TemporaryDirectory() as folder:
            spec.save(folder)
            compute_type = "float16" if device == "cuda" else "float32"
            # As ours on the CPU: batches in parallel, one thread each.
            options = {"compute_type": compute_type, "inter_threads": torch.get_num_threads(), "intra_threads": 1}
            self.translator = ctranslate2.Translator(folder, device=device, **options)

    def translate(self, source: Tensor, length: int, beams: int) -> int:
        """Translate as `Marian.translate` does."""
        found = self.translator.translate_batch(
            [[self.names[token] for token in sentence if token != PAD_ID] for sentence in source.tolist()],
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


def _fill_layer(layer: Any, shape: Shape) -> None:
    """Fill one layer of either stack; projections of the same input are fused."""
    d_model, d_ff = shape.d_model, shape.d_ff
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
