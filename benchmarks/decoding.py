"""Decoding on the CPU against other toolkits: sentences per second, greedily and with a beam.

Weights are random and each translation is forced to have the mean length of its batch, the source length over 1.15,
since speed depends on the model only through the lengths of its translations. The baselines are a plain loop around
`torch.nn.Transformer` (padded, the decoder run over the whole prefix at each step, the last position projected), and,
if their packages are installed, Hugging Face's `generate` of a Marian model and CTranslate2 with the same weights.

    python benchmarks/decoding.py --sentences 1000 --batch 64 --rounds 3
    python benchmarks/decoding.py --size base --beam 4 --sentences 32 --batch 32 --threads 1 \\
        --only ours CTranslate2 --precisions float32 bfloat16 int8

With `--precisions`, ours and CTranslate2 run in each of them. A round runs every implementation once, in turn.
"""

from __future__ import annotations

import os

# As the `translator` command does: idle threads sleep after a few microseconds. Must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "300")

import argparse
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import baseline_models
import torch
from measuring import wall_and_cpu_time
from torch import Tensor, nn
from workload import LENGTHS, PAD_ID, SHAPES, VOCAB_SIZE, PaddedTransformer, our_model, sentence_pairs

from translator.config import DecodingOptions
from translator.config.decoding import PRECISIONS
from translator.decoding.request import Request
from translator.decoding.search import search
from translator.engines.hardware import set_precision
from translator.engines.workers import SingleThreadWorkers
from translator.model import DecodingState, EncoderDecoder
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID
from translator.training.memory import keep_freed_memory

Batches = list[list[Tensor]]
Run = Callable[[], int]  # translates everything; returns the number of tokens
WORKERS = SingleThreadWorkers()


@dataclass
class ScheduledState:
    """The model's state, and the number of tokens left of each row before its end."""

    inner: DecodingState
    left: Tensor


class Scheduled:
    """A `Decodable` whose translations end at given lengths, regardless of the model."""

    def __init__(self, model: EncoderDecoder, lengths: Tensor) -> None:
        self.model = model
        self.lengths = lengths

    def start(self, source: Packed) -> ScheduledState:
        """Start the model, with all tokens left."""
        return ScheduledState(self.model.start(source), self.lengths)

    def step(self, tokens: Tensor, state: ScheduledState) -> Tensor:
        """Run the model's step, with EOS impossible before the given length and certain at it."""
        logits = self.model.step(tokens, state.inner)
        logits[:, EOS_ID] = torch.where(state.left > 0, -1e4, 1e4)
        state.left = state.left - 1
        return logits

    def reorder(self, state: ScheduledState, rows: Tensor, sentences: Sequence[int] | None = None) -> ScheduledState:
        """Reorder the model's state and the tokens left."""
        return ScheduledState(self.model.reorder(state.inner, rows, sentences), state.left[rows])


def output_lengths(batch: list[Tensor]) -> Tensor:
    """Return the number of tokens before EOS of each translation: their mean."""
    mean = statistics.fmean(max(1, (len(source) - 1) / 1.15) for source in batch)
    return torch.full((len(batch),), round(mean))


def ours(model: EncoderDecoder, batches: Batches, beam_size: int) -> int:
    """Translate batches in parallel, as `Translator` does, and return the number of tokens with EOS."""
    options = DecodingOptions(beam_size=beam_size)

    def translate(batch: list[Tensor]) -> int:
        lengths = output_lengths(batch)
        requests = [
            Request(tuple(source[:-1].tolist()), length + 1)
            for source, length in zip(batch, lengths.tolist(), strict=True)
        ]
        found = search(Scheduled(model, lengths), requests, options)
        return sum(len(candidates[0].tokens) + 1 for candidates in found)

    return sum(WORKERS.map(translate, batches, torch.get_num_threads()))


@torch.inference_mode()
def padded_greedy(model: PaddedTransformer, batches: Batches) -> int:
    """Translate batches by greedy search without a cache, and return the number of tokens with EOS."""
    produced = 0
    for batch in batches:
        lengths = output_lengths(batch)
        source = nn.utils.rnn.pad_sequence(batch, batch_first=True)
        padding = source == PAD_ID
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


def other_toolkit(model: baseline_models.Marian | baseline_models.CTranslate2, batches: Batches, beam_size: int) -> int:
    """Translate each batch to its mean length, in parallel as `ours`, and return the number of tokens."""

    def search(batch: list[Tensor]) -> int:
        length = int(output_lengths(batch)[0]) + 1
        return model.translate(nn.utils.rnn.pad_sequence(batch, batch_first=True), length, beam_size)

    return sum(WORKERS.map(search, batches, torch.get_num_threads()))


def beams_of(options: argparse.Namespace) -> dict[str, int]:
    """Return the name of each search and its number of beams."""
    return {"greedy": 1, f"beam {options.beam}": options.beam}


def our_runs(options: argparse.Namespace, batches: Batches) -> dict[str, Run]:
    """Return our searches."""
    runs: dict[str, Run] = {}
    for precision in options.precisions:
        torch.manual_seed(1)
        model = our_model(SHAPES[options.size], VOCAB_SIZE).eval()
        set_precision(model, precision, torch.device("cpu"))
        for label, beams in beams_of(options).items():
            runs[f"ours {precision}, {label}"] = partial(ours, model, batches, beams)
    return runs


def padded_runs(options: argparse.Namespace, batches: Batches) -> dict[str, Run]:
    """Return the greedy search of the padded baseline."""
    padded = PaddedTransformer(SHAPES[options.size], VOCAB_SIZE, dropout=0.1, pre_norm=True).eval()
    return {"nn.Transformer without a cache, greedy": lambda: padded_greedy(padded, batches)}


def marian_runs(options: argparse.Namespace, batches: Batches) -> dict[str, Run]:
    """Return the searches of Hugging Face's `generate`."""
    marian = baseline_models.Marian(SHAPES[options.size], VOCAB_SIZE, dropout=0.0).eval()
    beams = beams_of(options).items()
    return {f"Hugging Face generate, {label}": partial(other_toolkit, marian, batches, count) for label, count in beams}


def ctranslate2_runs(options: argparse.Namespace, batches: Batches) -> dict[str, Run]:
    """Return the searches of CTranslate2."""
    runs: dict[str, Run] = {}
    for precision in options.precisions:
        torch.manual_seed(1)  # the weights of `our_runs`
        translator = baseline_models.CTranslate2(SHAPES[options.size], VOCAB_SIZE, device="cpu", compute_type=precision)
        for label, beams in beams_of(options).items():
            runs[f"CTranslate2 {precision}, {label}"] = partial(other_toolkit, translator, batches, beams)
    return runs


@dataclass(frozen=True)
class Toolkit:
    """Searches with a process of their own: thread libraries that share one disturb each other."""

    runs_of: Callable[[argparse.Namespace, Batches], dict[str, Run]]
    package: str


TOOLKITS = {
    "ours": Toolkit(our_runs, "torch"),
    "nn.Transformer": Toolkit(padded_runs, "torch"),
    "Marian": Toolkit(marian_runs, "transformers"),
    "CTranslate2": Toolkit(ctranslate2_runs, "ctranslate2"),
}
_prepared: dict[str, Run] = {}  # in the process of a toolkit


def prepare(toolkit: str, options: argparse.Namespace) -> list[str]:
    """Build the models of a toolkit in its process, run each once, and return the names of its searches."""
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    torch.manual_seed(1)
    batches = batches_of(options)
    _prepared.update(TOOLKITS[toolkit].runs_of(options, batches))
    torch.set_num_threads(options.threads)  # a toolkit may have changed it
    for run in _prepared.values():
        run()
    return list(_prepared)


def measured(name: str) -> tuple[float, float, int]:
    """Return the wall-clock time, the CPU time and the number of tokens of one run."""
    return wall_and_cpu_time(_prepared[name])


def batches_of(options: argparse.Namespace) -> Batches:
    """Return batches of sentences of similar length, longest first."""
    sources = [source for source, _ in sentence_pairs(options.lengths, options.sentences, VOCAB_SIZE)]
    for source in sources:
        source[-1] = EOS_ID
    sources.sort(key=len, reverse=True)
    return [sources[start : start + options.batch] for start in range(0, len(sources), options.batch)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SHAPES, default="tiny")
    parser.add_argument("--lengths", choices=LENGTHS, default="multi30k")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64, help="sentences per batch, of similar length")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["float32"], help="of ours, CTranslate2")
    parser.add_argument("--only", nargs="+", choices=TOOLKITS, default=list(TOOLKITS))
    options = parser.parse_args()
    installed = [name for name in options.only if baseline_models.is_installed(TOOLKITS[name].package)]
    with ExitStack() as stack:
        processes = {name: stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"))) for name in installed}
        searches = {name: process.submit(prepare, name, options).result() for name, process in processes.items()}
        results: dict[str, list[tuple[float, float, int]]] = {name: [] for found in searches.values() for name in found}
        for _ in range(options.rounds):
            for toolkit, process in processes.items():
                for name in searches[toolkit]:
                    results[name].append(process.submit(measured, name).result())
    print(f"# {options.size}, {options.sentences} sentences in batches of {options.batch}, {options.threads} threads")
    print(f"{'':40} {'sentences/s':>11} {'range':>13} {'per CPU second':>14} {'tokens':>7}")
    for name, runs in results.items():
        rates = [options.sentences / wall for wall, _, _ in runs]
        per_second = statistics.median(options.sentences / cpu for _, cpu, _ in runs)
        spread = f"{min(rates):.0f}-{max(rates):.0f}"
        print(f"{name:40} {statistics.median(rates):11.0f} {spread:>13} {per_second:14.0f} {runs[0][2]:7}")


if __name__ == "__main__":
    main()
