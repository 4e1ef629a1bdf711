"""Attention maps of 40 words in Transformer-base with random weights (6 layers of 8 heads): time and size.

    python benchmarks/attention_map.py [--threads N]

Output: wall-clock time and CPU time of the maps of a given translation (one forward pass with its weights), of the
forward pass alone, and of the HTML page, with its size.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from measuring import wall_and_cpu_time

from translator import Translator, attention_maps
from translator.config import ModelConfig, TokenizerConfig
from translator.engines.torch_engine import TorchEngine
from translator.inspection.pages import attention_page
from translator.model import EncoderDecoder, build_model
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID, Tokenizers

SOURCE = "Le professeur a prêté le livre à l'étudiant parce que sa bibliothèque était fermée ce jour-là. "
TARGET = "The teacher lent the book to the student because his library was closed on that day. "


def measure(name: str, action: Callable[[], object], rounds: int) -> None:
    """Print the median wall-clock time and CPU time, after one warm-up round."""
    action()
    times = [wall_and_cpu_time(action)[:2] for _ in range(rounds)]
    wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name:<28} wall clock {wall:6.3f} s   CPU {cpu:6.3f} s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    tokenizers = Tokenizers.train([(SOURCE, TARGET)] * 20, TokenizerConfig(vocab_size=360, model_type="bpe"), seed=1)
    size = tokenizers.source.vocab_size
    model = build_model(ModelConfig(), size, size).eval()
    assert isinstance(model, EncoderDecoder)
    translator = Translator(TorchEngine(model), tokenizers)
    source, target = (" ".join((text * 3).split()[:40]) for text in (SOURCE, TARGET))
    maps = attention_maps(translator, source, target)
    print(f"40 words: {len(maps.encoder.keys)} source tokens, {len(maps.cross.queries)} target tokens")
    inputs = (
        Packed.from_sequences([[*tokenizers.source.encode(source), EOS_ID]]),
        Packed.from_sequences([[BOS_ID, *tokenizers.target.encode(target)]]),
    )
    with torch.inference_mode():
        measure("forward pass alone", lambda: model(*inputs), arguments.rounds)
    measure("attention maps", lambda: attention_maps(translator, source, target), arguments.rounds)
    measure("page", lambda: attention_page(maps), arguments.rounds)
    print(f"size of the page             {len(attention_page(maps).encode()) / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
