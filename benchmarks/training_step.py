"""How many target tokens a second does a training step learn from, beside the loop that one would write otherwise?

The peer is `torch.nn.Transformer` on padded batches of like length, written as well as we can: sentences sorted by
length, key padding masks only where there is padding, a causal flag instead of a mask, the vocabulary projected at real
tokens only, tied embeddings, label smoothing, a fused optimizer, and the same allocator and thread settings as ours.
Both see the same sentences, of lengths drawn like those of a real corpus, with random token ids: no data is needed.

    python benchmarks/training_step.py --size tiny --lengths multi30k --rounds 5 --steps 4

One line a contestant: real target tokens per second of wall clock, and per second of processor time, which other
processes on the machine disturb less. Rounds are interleaved and in alternating order; figures are medians.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch starts its threads, as `translator` does:
os.environ.setdefault("GOMP_SPINCOUNT", "300")  # ... idle ones sleep, after a few turns

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from translator.config import ModelConfig
from translator.model import build_model
from translator.model.embedding import sinusoids
from translator.packing import Packed
from translator.training.memory import keep_freed_memory

VOCAB_SIZE = 8000
SIZES = {
    "tiny": {"d_model": 128, "d_ff": 256, "layers": 4, "heads": 4},
    "base": {"d_model": 512, "d_ff": 2048, "layers": 6, "heads": 8},
}
LENGTHS = {  # mu and sigma of the logarithm of the target's length in pieces
    "multi30k": (math.log(14.5), 0.33),  # mean 15, one in twenty above 25
    "general": (math.log(22.7), 0.59),  # mean 27, one in twenty above 60
}
LABEL_SMOOTHING = 0.1
LONGEST = 250

Pair = tuple[Tensor, Tensor]  # token ids of the source (with EOS), and of BOS + target + EOS
Step = Callable[[], int]  # one optimizer step; gives the number of real target tokens it learned from


@dataclass(frozen=True)
class PackedBatch:
    """Sentences end to end, as our model takes them."""

    source: Packed
    target_input: Packed
    labels: Tensor


@dataclass(frozen=True)
class PaddedBatch:
    """Sentences as rectangles, as the peer takes them; the mask is None where no source is padded."""

    source: Tensor
    source_padding: Tensor | None
    target_input: Tensor
    labels: Tensor
    is_token: Tensor


class PaddedTransformer(nn.Module):
    """`torch.nn.Transformer` with tied embeddings, sinusoids and a label-smoothed loss over real tokens."""

    def __init__(self, d_model: int, d_ff: int, layers: int, heads: int, dropout: float, norm_first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB_SIZE, d_model)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.transformer = nn.Transformer(
            d_model, heads, layers, layers, d_ff, dropout, batch_first=True, norm_first=norm_first
        )
        self.register_buffer("positions", sinusoids(LONGEST + 2, d_model, "interleaved"))
        self.register_buffer("causal", nn.Transformer.generate_square_subsequent_mask(LONGEST + 2))

    def embed(self, tokens: Tensor) -> Tensor:
        """`(sentences, length)` to `(sentences, length, d_model)`."""
        scale = math.sqrt(self.embedding.embedding_dim)
        return self.dropout(self.embedding(tokens) * scale + self.positions[: tokens.shape[1]])

    def loss(self, batch: PaddedBatch) -> tuple[Tensor, int]:
        """Summed loss and its number of tokens. Padded targets stand right of all real ones: causality hides them."""
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


def sentence_pairs(lengths: str, count: int, seed: int = 1) -> list[Pair]:
    """Random tokens; the source is 1.15 times as long as the target, give or take."""
    generator = torch.Generator().manual_seed(seed)
    mu, sigma = LENGTHS[lengths]
    target = torch.randn(count, generator=generator).mul(sigma).add(mu).exp()
    source = target * torch.randn(count, generator=generator).mul(0.18).add(math.log(1.15)).exp()
    sizes = torch.stack((source, target)).round().clamp(1, LONGEST).long().T.tolist()

    def random_tokens(length: int) -> Tensor:
        return torch.randint(4, VOCAB_SIZE, (length,), generator=generator)

    return [(random_tokens(n + 1), random_tokens(m + 2)) for n, m in sizes]


def packed_batches(pairs: list[Pair], batch_tokens: int) -> list[PackedBatch]:
    """In the order drawn, each filled to `batch_tokens` target tokens."""
    batches, group, size = [], [], 0
    for pair in pairs:
        if size + len(pair[1]) - 1 > batch_tokens:
            batches.append(_packed(group))
            group, size = [], 0
        group.append(pair)
        size += len(pair[1]) - 1
    return batches


def _packed(group: list[Pair]) -> PackedBatch:
    return PackedBatch(
        Packed.from_sequences([source for source, _ in group]),
        Packed.from_sequences([target[:-1] for _, target in group]),
        torch.cat([target[1:] for _, target in group]),
    )


def padded_batches(pairs: list[Pair], batch_tokens: int) -> list[PaddedBatch]:
    """Sorted by length and cut where the real tokens reach `batch_tokens`; the order of the batches is shuffled."""
    batches, group, size = [], [], 0
    for pair in sorted(pairs, key=lambda pair: (len(pair[1]), len(pair[0]))):
        if size + len(pair[1]) - 1 > batch_tokens:
            batches.append(_padded(group))
            group, size = [], 0
        group.append(pair)
        size += len(pair[1]) - 1
    order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(2)).tolist()
    return [batches[i] for i in order]


def _padded(group: list[Pair]) -> PaddedBatch:
    source = nn.utils.rnn.pad_sequence([source for source, _ in group], batch_first=True)
    target_input = nn.utils.rnn.pad_sequence([target[:-1] for _, target in group], batch_first=True)
    labels = torch.cat([target[1:] for _, target in group])
    # token ids start at 4: a zero is padding
    padding = source == 0
    return PaddedBatch(source, padding if bool(padding.any()) else None, target_input, labels, target_input != 0)


def training_step(model: Any, batches: list[Any]) -> Step:
    """The step that both contestants take: loss, gradients, clipping, fused AdamW."""
    model.train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
    coming: Iterator[Any] = cycle(batches)

    def step() -> int:
        loss, count = model.loss(next(coming))
        (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return int(count)

    return step


def contestants(size: str, lengths: str, batch_tokens: int, dropout: float, num_pairs: int) -> dict[str, Step]:
    """The peer in both orders of norm, and ours with dropout as we ship it and with all that the peer has."""
    shape = SIZES[size]
    pairs = sentence_pairs(lengths, num_pairs)
    packed, padded = packed_batches(pairs, batch_tokens), padded_batches(pairs, batch_tokens)
    real = sum(len(batch.labels) for batch in padded)
    places = sum(batch.target_input.numel() for batch in padded)
    print(f"# padding in the peer's target batches: {1 - real / places:.1%}; in ours: none")

    def ours(**dropouts: float) -> Step:
        config = ModelConfig(
            d_model=shape["d_model"],
            d_ff=shape["d_ff"],
            encoder_layers=shape["layers"],
            decoder_layers=shape["layers"],
            encoder_heads=shape["heads"],
            decoder_heads=shape["heads"],
            dropout=dropout,
            **dropouts,
        )
        return training_step(build_model(config, VOCAB_SIZE, VOCAB_SIZE, LABEL_SMOOTHING), packed)

    def peer(norm_first: bool) -> Step:
        return training_step(PaddedTransformer(**shape, dropout=dropout, norm_first=norm_first), padded)

    torch.manual_seed(1)
    return {
        "peer, norm first": peer(norm_first=True),
        "ours, residual dropout": ours(),
        "peer, norm last": peer(norm_first=False),
        "ours, all the peer's dropout": ours(attention_dropout=dropout, activation_dropout=dropout),
    }


def measure(steps: dict[str, Step], rounds: int, steps_a_round: int) -> dict[str, list[tuple[float, float]]]:
    """Tokens per second of wall clock and of processor time, a pair for each round; every other round is reversed."""
    for step in steps.values():
        step()
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for number in range(rounds):
        for name in list(steps) if number % 2 == 0 else reversed(list(steps)):
            wall, processor = time.perf_counter(), time.process_time()
            tokens = sum(steps[name]() for _ in range(steps_a_round))
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            rates[name].append((tokens / wall, tokens / processor))
    return rates


def report(rates: dict[str, list[tuple[float, float]]]) -> None:
    """A row a contestant; ratios are medians of the rounds' ratios to the faster peer."""
    best_peer = max((name for name in rates if name.startswith("peer")), key=lambda name: _median(rates[name], 0))
    print(f"{'':30} {'tokens/s':>9} {'range':>15} {'ratio':>6} | {'per CPU second':>14} {'ratio':>6}")
    for name, measured in rates.items():
        ratios = [(ours[0] / peer[0], ours[1] / peer[1]) for ours, peer in zip(measured, rates[best_peer], strict=True)]
        walls = [wall for wall, _ in measured]
        print(
            f"{name:30} {_median(measured, 0):9.0f} {min(walls):7.0f}-{max(walls):7.0f} {_median(ratios, 0):6.2f} | "
            f"{_median(measured, 1):14.0f} {_median(ratios, 1):6.2f}"
        )


def _median(pairs: list[tuple[float, float]], which: int) -> float:
    return statistics.median(pair[which] for pair in pairs)


def matrix_product_rate(rows: int, inner: int, columns: int) -> float:
    """GFLOP/s of one float32 product of these sizes: the best of several."""
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    best = math.inf
    for _ in range(8):
        start = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - start)
    return 2e-9 * rows * inner * columns / best


def print_limit(size: str, batch_tokens: int) -> None:
    """What the products of the linear layers alone would allow at the machine's rate."""
    shape = SIZES[size]
    d_model, d_ff, layers = shape["d_model"], shape["d_ff"], shape["layers"]
    encoder = layers * (4 * d_model**2 + 2 * d_model * d_ff) + layers * 2 * d_model**2  # memory's keys and values
    decoder = layers * (6 * d_model**2 + 2 * d_model * d_ff) + VOCAB_SIZE * d_model
    flops = 6 * (1.15 * encoder + decoder)  # a product forward, two backward, two operations a weight
    rate = matrix_product_rate(batch_tokens, d_model, d_ff)
    print(
        f"# {torch.__version__}, {torch.get_num_threads()} threads; matrix products ({batch_tokens}, {d_model}) x "
        f"({d_model}, {d_ff}): {rate:.0f} GFLOP/s, which alone would allow {rate * 1e9 / flops:.0f} tokens/s"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--lengths", choices=LENGTHS, default="multi30k")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="optimizer steps in a round")
    parser.add_argument("--pairs", type=int, default=30_000, help="sentence pairs to draw batches from")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", help="measure contestants whose name holds this")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    print(f"# {options.size}, lengths like {options.lengths}, dropout {options.dropout}, {options.rounds} rounds")
    print_limit(options.size, options.batch_tokens)
    steps = contestants(options.size, options.lengths, options.batch_tokens, options.dropout, options.pairs)
    if options.only:
        steps = {name: step for name, step in steps.items() if options.only in name or name == "peer, norm first"}
    report(measure(steps, options.rounds, options.steps))


if __name__ == "__main__":
    main()
