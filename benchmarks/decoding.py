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
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import peers
import torch
from torch import Tensor, nn
from training_step import LABEL_SMOOTHING, SIZES, VOCAB_SIZE, PaddedTransformer, sentence_pairs

from translator.config import ModelConfig
from translator.decoding.beam import beam_search
from translator.decoding.search import greedy
from translator.inference.hardware import side_by_side
from translator.model import DecodingState, EncoderDecoder, build_model
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID
from translator.training.memory import keep_freed_memory

Batches = list[list[Tensor]]
Run = Callable[[], int]  # translates everything; gives the number of tokens
BEAMS = {"greedy": 1, "beam 5": 5}


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


def our_runs(shape: dict[str, Any], batches: Batches) -> dict[str, Run]:
    """Ours, and the peer that is written in torch as ours is."""
    config = ModelConfig(
        d_model=shape["d_model"],
        d_ff=shape["d_ff"],
        encoder_layers=shape["layers"],
        decoder_layers=shape["layers"],
        encoder_heads=shape["heads"],
        decoder_heads=shape["heads"],
    )
    model = build_model(config, VOCAB_SIZE, VOCAB_SIZE, LABEL_SMOOTHING).eval()
    padded = PaddedTransformer(**shape, dropout=0.1, norm_first=True).eval()
    return {
        "ours, greedy": lambda: ours(model, batches, 1),
        "ours, beam 5": lambda: ours(model, batches, 5),
        "nn.Transformer without a cache, greedy": lambda: peer(padded, batches),
    }


def marian_runs(shape: dict[str, Any], batches: Batches) -> dict[str, Run]:
    """Hugging Face's `generate`."""
    marian = peers.Marian(**shape, dropout=0.0, pieces=VOCAB_SIZE).eval()
    name = "Hugging Face generate"
    return {f"{name}, {label}": partial(other_toolkit, marian, batches, beams) for label, beams in BEAMS.items()}


def ctranslate2_runs(shape: dict[str, Any], batches: Batches) -> dict[str, Run]:
    """CTranslate2, in float32."""
    translator = peers.CTranslate2(**shape, pieces=VOCAB_SIZE, device="cpu")
    name = "CTranslate2"
    return {f"{name}, {label}": partial(other_toolkit, translator, batches, beams) for label, beams in BEAMS.items()}


@dataclass(frozen=True)
class Toolkit:
    """A process of its own: libraries of threads that share one get in each other's way."""

    runs_of: Callable[[dict[str, Any], Batches], dict[str, Run]]
    package: str
    names: tuple[str, ...]


TOOLKITS = (
    Toolkit(our_runs, "torch", ("ours, greedy", "ours, beam 5", "nn.Transformer without a cache, greedy")),
    Toolkit(marian_runs, "transformers", ("Hugging Face generate, greedy", "Hugging Face generate, beam 5")),
    Toolkit(ctranslate2_runs, "ctranslate2", ("CTranslate2, greedy", "CTranslate2, beam 5")),
)
_prepared: dict[str, Run] = {}  # in a toolkit's process


def prepare(number: int, options: argparse.Namespace) -> None:
    """Make a toolkit's models."""
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    torch.manual_seed(1)
    _prepared.update(TOOLKITS[number].runs_of(SIZES[options.size], batches_of(options)))
    torch.set_num_threads(options.threads)  # a toolkit may have changed it


def measured(name: str) -> tuple[float, float, int]:
    """Seconds of wall clock and of processor time that one run takes, and its tokens."""
    wall, processor = time.perf_counter(), time.process_time()
    tokens = _prepared[name]()
    return time.perf_counter() - wall, time.process_time() - processor, tokens


def batches_of(options: argparse.Namespace) -> Batches:
    """The sentences, longest first."""
    sources = [source for source, _ in sentence_pairs(options.lengths, options.sentences)]
    for source in sources:
        source[-1] = EOS_ID
    sources.sort(key=len, reverse=True)
    return [sources[start : start + options.batch] for start in range(0, len(sources), options.batch)]


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
    here = [number for number, toolkit in enumerate(TOOLKITS) if peers.is_here(toolkit.package)]
    results: dict[str, list[tuple[float, float, int]]] = {name: [] for n in here for name in TOOLKITS[n].names}
    with ExitStack() as stack:
        processes = {n: stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"))) for n in here}
        for number, process in processes.items():
            process.submit(prepare, number, options).result()
        for _ in range(options.rounds):
            for number, process in processes.items():
                for name in TOOLKITS[number].names:
                    results[name].append(process.submit(measured, name).result())
    print(f"# {options.size}, {options.sentences} sentences in batches of {options.batch}, {options.threads} threads")
    print(f"{'':40} {'sentences/s':>11} {'range':>13} {'per CPU second':>14} {'tokens':>7}")
    for name, runs in results.items():
        rates = [options.sentences / wall for wall, _, _ in runs]
        per_second = statistics.median(options.sentences / processor for _, processor, _ in runs)
        spread = f"{min(rates):.0f}-{max(rates):.0f}"
        print(f"{name:40} {statistics.median(rates):11.0f} {spread:>13} {per_second:14.0f} {runs[0][2]:7}")


if __name__ == "__main__":
    main()
