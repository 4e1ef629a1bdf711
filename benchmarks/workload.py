"""Model shapes, random sentence pairs and batches of the speed benchmarks.

Speed depends on the lengths of sentences, not on their tokens. So token ids are random, lengths follow a real corpus,
and no data is needed. `PaddedTransformer` is the model that the padded batches are for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from translator.config import ModelConfig
from translator.model import EncoderDecoder, build_model
from translator.model.embedding import sinusoids
from translator.packing import Packed

VOCAB_SIZE = 8000
LABEL_SMOOTHING = 0.1
MAX_LENGTH = 250
FIRST_TOKEN = 4  # random token ids are above the special tokens
PAD_ID = 0
LENGTHS = {  # mean and standard deviation of the logarithm of the target length in tokens
    "multi30k": (math.log(14.5), 0.33),  # mean 15, one in twenty above 25
    "general": (math.log(22.7), 0.59),  # mean 27, one in twenty above 60
}

Pair = tuple[Tensor, Tensor]  # token ids of the source (with EOS), and of BOS + target + EOS


@dataclass(frozen=True)
class Shape:
    """Size of an encoder-decoder; `layers` and `heads` are those of each stack."""

    d_model: int
    d_ff: int
    layers: int
    heads: int


SHAPES = {"tiny": Shape(128, 256, 4, 4), "base": Shape(512, 2048, 6, 8)}


@dataclass(frozen=True)
class PackedBatch:
    """Concatenated sentences, the input of this project's model."""

    source: Packed
    target_input: Packed
    labels: Tensor
    links: None = None  # between words: only guided alignment has any


@dataclass(frozen=True)
class PaddedBatch:
    """Padded sentences `(sentences, length)`; `source_padding` is None if no source is padded."""

    source: Tensor
    source_padding: Tensor | None
    target_input: Tensor
    labels: Tensor
    is_token: Tensor


class PaddedTransformer(nn.Module):
    """`torch.nn.Transformer` with tied embeddings, sinusoids and a label-smoothed loss over real tokens."""

    def __init__(self, shape: Shape, vocab_size: int, dropout: float, pre_norm: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, shape.d_model)
        nn.init.normal_(self.embedding.weight, std=shape.d_model**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.transformer = nn.Transformer(
            shape.d_model,
            shape.heads,
            shape.layers,
            shape.layers,
            shape.d_ff,
            dropout,
            batch_first=True,
            norm_first=pre_norm,
        )
        self.register_buffer("positions", sinusoids(MAX_LENGTH + 2, shape.d_model, "interleaved"))
        self.register_buffer("causal", nn.Transformer.generate_square_subsequent_mask(MAX_LENGTH + 2))

    def embed(self, tokens: Tensor) -> Tensor:
        """`(sentences, length)` to `(sentences, length, d_model)`."""
        scale = math.sqrt(self.embedding.embedding_dim)
        return self.dropout(self.embedding(tokens) * scale + self.positions[: tokens.shape[1]])

    def loss(self, batch: PaddedBatch) -> tuple[Tensor, int]:
        """Return the summed loss and its number of tokens. The causal mask hides padded targets: they come last."""
        longest = batch.target_input.shape[1]
        hidden = self.transformer(
            self.embed(batch.source),
            self.embed(batch.target_input),
            tgt_mask=self.causal[:longest, :longest],
            tgt_is_causal=True,
            src_key_padding_mask=batch.source_padding,
            memory_key_padding_mask=batch.source_padding,
        )
        logits = F.linear(hidden[batch.is_token], self.embedding.weight)
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=LABEL_SMOOTHING, reduction="sum")
        return loss, len(batch.labels)


def our_model(
    shape: Shape,
    vocab_size: int,
    dropout: float = 0.1,
    attention_dropout: float = 0.0,
    activation_dropout: float = 0.0,
) -> EncoderDecoder:
    """Return this project's model of a shape, with random weights."""
    config = model_config(shape, dropout, attention_dropout, activation_dropout)
    return build_model(config, vocab_size, vocab_size, LABEL_SMOOTHING)


def model_config(
    shape: Shape, dropout: float = 0.0, attention_dropout: float = 0.0, activation_dropout: float = 0.0
) -> ModelConfig:
    """Return the configuration of this project's model of a shape."""
    return ModelConfig(
        d_model=shape.d_model,
        d_ff=shape.d_ff,
        encoder_layers=shape.layers,
        decoder_layers=shape.layers,
        encoder_heads=shape.heads,
        decoder_heads=shape.heads,
        dropout=dropout,
        attention_dropout=attention_dropout,
        activation_dropout=activation_dropout,
    )


def seeded_loss(
    loss: Callable[[PackedBatch, Tensor], tuple[Tensor, Tensor]], device: str = "cpu"
) -> Callable[[PackedBatch], tuple[Tensor, Tensor]]:
    """Return our model's loss as a function of the batch alone; all batches have the same seeds of dropout."""
    return lambda batch: loss(batch, torch.arange(batch.source.num_sequences, device=device))


def sentence_pairs(lengths: str, count: int, vocab_size: int, seed: int = 1) -> list[Pair]:
    """Return random sentence pairs; the source is about 1.15 times as long as the target."""
    generator = torch.Generator().manual_seed(seed)
    mu, sigma = LENGTHS[lengths]
    target = torch.randn(count, generator=generator).mul(sigma).add(mu).exp()
    source = target * torch.randn(count, generator=generator).mul(0.18).add(math.log(1.15)).exp()
    sizes = torch.stack((source, target)).round().clamp(1, MAX_LENGTH).long().T.tolist()

    def random_tokens(length: int) -> Tensor:
        return torch.randint(FIRST_TOKEN, vocab_size, (length,), generator=generator)

    return [(random_tokens(n + 1), random_tokens(m + 2)) for n, m in sizes]


def packed_batches(pairs: list[Pair], batch_tokens: int) -> list[PackedBatch]:
    """Return packed batches in the given order, each of up to `batch_tokens` target tokens."""
    return [
        PackedBatch(
            Packed.from_sequences([source for source, _ in group]),
            Packed.from_sequences([target[:-1] for _, target in group]),
            torch.cat([target[1:] for _, target in group]),
        )
        for group in _groups(pairs, batch_tokens)
    ]


def padded_batches(pairs: list[Pair], batch_tokens: int) -> list[PaddedBatch]:
    """Return padded batches of up to `batch_tokens` real target tokens, of similar length, in random order."""
    groups = groups_of_similar_length(pairs, batch_tokens)
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(2)).tolist()
    return [_padded(groups[index]) for index in order]


def groups_of_similar_length(pairs: list[Pair], batch_tokens: int) -> list[list[Pair]]:
    """Cut pairs, shortest first, into groups of up to `batch_tokens` target tokens."""
    return _groups(sorted(pairs, key=lambda pair: (len(pair[1]), len(pair[0]))), batch_tokens)


def _groups(pairs: list[Pair], batch_tokens: int) -> list[list[Pair]]:
    """Cut pairs into groups of up to `batch_tokens` target tokens; an incomplete last group is dropped."""
    groups: list[list[Pair]] = []
    group: list[Pair] = []
    size = 0
    for pair in pairs:
        if size + len(pair[1]) - 1 > batch_tokens:
            groups.append(group)
            group, size = [], 0
        group.append(pair)
        size += len(pair[1]) - 1
    return groups


def _padded(group: list[Pair]) -> PaddedBatch:
    source = nn.utils.rnn.pad_sequence([source for source, _ in group], batch_first=True)
    target_input = nn.utils.rnn.pad_sequence([target[:-1] for _, target in group], batch_first=True)
    labels = torch.cat([target[1:] for _, target in group])
    padding = source == PAD_ID
    return PaddedBatch(source, padding if bool(padding.any()) else None, target_input, labels, target_input != PAD_ID)
