"""How many sentences a second does a tiny model translate, greedily and with a beam of 5?

Speed does not depend on what a model has learned, except through where its translations end: weights are random here,
and the end of each translation is forced at the source's length over 1.15. The peers are the loop that one writes
around `torch.nn.Transformer` (padded, the decoder run over the whole prefix at each step, the last position projected),
and where their packages are installed Hugging Face's `generate` of a Marian model and CTranslate2 in float32; these two
translate all sentences of a batch to their mean length.

    python benchmarks/decoding.py --sentences 1000 --batch 64 --rounds 3
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch starts its threads, as `translator` does:
os.environ.setdefault("GOMP_SPINCOUNT", "300")  # ... idle ones sleep, after a few turns

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import peers
import torch
from torch import Tensor, nn
from training_step import LABEL_SMOOTHING, SIZES, VOCAB_SIZE, PaddedTransformer, sentence_pairs

from translator.config import ModelConfig
from translator.decoding.beam import beam_search
from translator.decoding.hardware import side_by_side
from translator.decoding.search import greedy
from translator.model import DecodingState, EncoderDecoder, build_model
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID
from translator.training.memory import keep_freed_memory

Batches = list[list[Tensor]]


@dataclass
class ScheduledState:
    """The model's state and how many tokens each row still has to give before its end."""

    inner: DecodingState
    left: Tensor


class Scheduled:
    """A `Decodable` whose translations end where a schedule says, whatever its model would say."""

    def __init__(self, model: EncoderDecoder, lengths: Tensor) -> None:
        self.model = model
        self.lengths = lengths

    def start(self, source: Packed) -> ScheduledState:
        """As the model's."""
        return ScheduledState(self.model.start(source), self.lengths)

    def step(self, tokens: Tensor, state: ScheduledState) -> Tensor:
        """As the model's, the end impossible before its time and certain at it."""
        logits = self.model.step(tokens, state.inner)
        logits[:, EOS_ID] = torch.where(state.left > 0, -1e4, 1e4)
        state.left = state.left - 1
        return logits

    def reorder(self, state: ScheduledState, rows: Tensor, sentences: Sequence[int] | None = None) -> ScheduledState:
        """As the model's."""
        return ScheduledState(self.model.reorder(state.inner, rows, sentences), state.left[rows])


def output_lengths(batch: list[Tensor]) -> Tensor:
    """Tokens before EOS of each translation."""
    return torch.tensor([max(1, round((len(source) - 1) / 1.15)) for source in batch])


def ours(model: EncoderDecoder, batches: Batches, beam_size: int) -> int:
    """Translate everything, as `Translator` does: batches side by side; gives the number of tokens, EOS counted."""

    def search(batch: list[Tensor]) -> int:
        lengths = output_lengths(batch)
        scheduled, source = Scheduled(model, lengths), Packed.from_sequences(batch)
        longest = (lengths + 1).tolist()
        if beam_size == 1:
            found = greedy(scheduled, source, max_lengths=longest)
        else:
            found = beam_search(scheduled, source, max_lengths=longest, beam_size=beam_size, alpha=0.6)
        return sum(len(candidates[0].tokens) + 1 for candidates in found)

    return sum(side_by_side(search, batches, torch.get_num_threads()))


@torch.inference_mode()
def peer(model: PaddedTransformer, batches: Batches) -> int:
    """Greedy search without a cache; as `ours`."""
    produced = 0
    for batch in batches:
        lengths = output_lengths(batch)
        source = nn.utils.rnn.pad_sequence(batch, batch_first=True)
        padding = source == 0
        memory = model.transformer.encoder(model.embed(source), src_key_padding_mask=padding)
        target = torch.full((len(batch), 1), BOS_ID)
        for _ in range(int(lengths.max()) + 1):
            size = target.shape[1]
            hidden = model.transformer.decoder(
                model.embed(target),
                memory,
                tgt_mask=model.causal[:size, :size],
                tgt_is_causal=True,
                memory_key_padding_mask=padding,
            )
            logits = hidden[:, -1] @ model.embedding.weight.T
            target = torch.cat((target, logits.argmax(dim=-1, keepdim=True)), dim=1)
        produced += int(lengths.sum()) + len(batch)
    return produced


def other_toolkit(model: peers.Marian | peers.CTranslate2, batches: Batches, beam_size: int) -> int:
    """Every batch to the mean length of its translations, side by side as ours; gives the number of tokens."""

    def search(batch: list[Tensor]) -> int:
        length = round(float(output_lengths(batch).float().mean())) + 1
        return model.translate(nn.utils.rnn.pad_sequence(batch, batch_first=True), length, beam_size)

    return sum(side_by_side(search, batches, torch.get_num_threads()))


def contestants(size: str, batches: Batches) -> dict[str, Callable[[], int]]:
    """Random models of one size, ours and the peers."""
    shape: dict[str, Any] = SIZES[size]
    config = ModelConfig(
        d_model=shape["d_model"],
        d_ff=shape["d_ff"],
        encoder_layers=shape["layers"],
        decoder_layers=shape["layers"],
        encoder_heads=shape["heads"],
        decoder_heads=shape["heads"],
    )
    torch.manual_seed(1)
    model = build_model(config, VOCAB_SIZE, VOCAB_SIZE, LABEL_SMOOTHING).eval()
    padded = PaddedTransformer(**shape, dropout=0.1, norm_first=True).eval()
    runs = {
        "ours, greedy": lambda: ours(model, batches, 1),
        "ours, beam 5": lambda: ours(model, batches, 5),
        "nn.Transformer without a cache, greedy": lambda: peer(padded, batches),
    }
    others: dict[str, peers.Marian | peers.CTranslate2] = {}
    if peers.is_here("transformers"):
        others["Hugging Face generate"] = peers.Marian(**shape, dropout=0.0, pieces=VOCAB_SIZE).eval()
    if peers.is_here("ctranslate2"):
        others["CTranslate2"] = peers.CTranslate2(**shape, pieces=VOCAB_SIZE, device="cpu")
    for name, other in others.items():
        for label, beam_size in {"greedy": 1, "beam 5": 5}.items():
            runs[f"{name}, {label}"] = partial(other_toolkit, other, batches, beam_size)
    return runs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--lengths", default="multi30k")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64, help="sentences translated together, of like length")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    sources = [source for source, _ in sentence_pairs(options.lengths, options.sentences)]
    for source in sources:
        source[-1] = EOS_ID
    sources.sort(key=len, reverse=True)
    batches = [sources[start : start + options.batch] for start in range(0, len(sources), options.batch)]
    runs = contestants(options.size, batches)
    walls: dict[str, list[float]] = {name: [] for name in runs}
    processors: dict[str, list[float]] = {name: [] for name in runs}
    tokens = dict.fromkeys(runs, 0)
    for _ in range(options.rounds):
        for name, run in runs.items():
            wall, processor = time.perf_counter(), time.process_time()
            tokens[name] = run()
            walls[name].append(time.perf_counter() - wall)
            processors[name].append(time.process_time() - processor)
    print(f"# {options.size}, {len(sources)} sentences, {len(batches)} batches, {options.threads} threads")
    print(f"{'':40} {'sentences/s':>11} {'range':>13} {'per CPU second':>14} {'tokens':>7}")
    for name in runs:
        rates = [len(sources) / seconds for seconds in walls[name]]
        cpu = statistics.median(len(sources) / seconds for seconds in processors[name])
        spread = f"{min(rates):.0f}-{max(rates):.0f}"
        print(f"{name:40} {statistics.median(rates):11.0f} {spread:>13} {cpu:14.0f} {tokens[name]:7}")


if __name__ == "__main__":
    main()
