"""Different heads per layer, and embeddings initialized from word vectors: validation loss of small models.

    python benchmarks/embeddings.py --output runs/small --picture docs/pictures/vectors.png

Trains models of one size on the embedded corpus with the same batches: 4 heads in each encoder layer and random
initialization; 2, 4 and 8 heads; embeddings from word vectors. Prints the validation loss by step for each seed, and
plots it with and without vectors. Complete runs are not repeated.

The word vectors are computed here, on the training text of the models: positive pointwise mutual information of words
at most `WINDOW` apart, reduced to `d_model` dimensions by a singular value decomposition (Levy and Goldberg, 2014), and
written in word2vec text format.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections import Counter
from itertools import islice, product
from pathlib import Path

import torch
from torch import Tensor

from translator.config import Config, load_config
from translator.data.embedded import embedded_file
from translator.data.files import read_table
from translator.training.trainer import train

CONFIG = Path(__file__).parents[1] / "configs" / "phrasebook.yaml"
NUM_PAIRS, D_MODEL, WINDOW, MIN_COUNT = 6000, 96, 2, 3
SIZE = (
    f"data.train={{phrasebook: train, max_examples: {NUM_PAIRS}}}",
    "data.valid={phrasebook: valid, max_examples: 200}",
    "tokenizer.vocab_size=2000",
    f"model.d_model={D_MODEL}",
    "model.d_ff=192",
    "model.encoder_layers=3",
    "model.decoder_layers=1",
    "model.encoder_heads=4",
    "model.decoder_heads=4",
    "training.warmup_steps=50",
    "training.batch_tokens=512",
    "training.ema_decay=0",
    "training.valid_decode_examples=0",
    "training.metric=loss",
)
KINDS = {
    "random": (),
    "vectors": ("model.source_vectors={vectors}",),
    "heads": ("model.encoder_heads=[2, 4, 8]",),
}


def word_vectors(sentences: list[list[str]], dimensions: int) -> dict[str, Tensor]:
    """Return a vector for each word with at least `MIN_COUNT` occurrences, from its co-occurrences.

    Args:
        sentences: lists of lowercase words.
        dimensions: size of a vector.
    """
    counts = Counter(word for sentence in sentences for word in sentence)
    words = sorted(word for word, count in counts.items() if count >= MIN_COUNT)
    ids = {word: index for index, word in enumerate(words)}
    together = torch.zeros(len(words), len(words))
    pairs: Counter[tuple[int, int]] = Counter()
    for sentence in sentences:
        known = [ids.get(word) for word in sentence]
        for place, first in enumerate(known):
            for second in known[place + 1 : place + 1 + WINDOW]:
                if first is not None and second is not None:
                    pairs[first, second] += 1
    for (first, second), count in pairs.items():
        together[first, second] += count
        together[second, first] += count
    total, alone = together.sum(), together.sum(dim=1)
    information = (together * total / (alone[:, None] * alone[None, :]).clamp(min=1)).clamp(min=1e-30).log()
    torch.manual_seed(0)  # the decomposition is randomized
    left, _, _ = torch.svd_lowrank(information.clamp(min=0), q=dimensions, niter=4)
    # Without singular values, centered and normalized: the first directions mainly encode word frequency.
    return dict(zip(words, torch.nn.functional.normalize(left - left.mean(dim=0)), strict=True))


def write_vectors(path: Path) -> None:
    """Write the word vectors of both languages in word2vec text format."""
    pairs = islice(read_table(embedded_file("phrasebook", "train"), ("fr", "en"), header=True), NUM_PAIRS)
    sentences = [re.findall(r"\w+", text.lower()) for pair in pairs for text in pair]
    vectors = word_vectors(sentences, D_MODEL)
    lines = [f"{len(vectors)} {D_MODEL}"]
    lines += [f"{word} {' '.join(f'{x:.5f}' for x in vector.tolist())}" for word, vector in vectors.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(folder: Path, name: str, seed: int, steps: int, overrides: tuple[str, ...]) -> list[dict[str, float]]:
    """Train one run, unless it is complete, and return its validations."""
    output = folder / f"{name}-{seed}"
    every = max(1, steps // 4)
    changes = (f"training.max_steps={steps}", f"training.validate_every={every}", f"training.save_every={steps}")
    config: Config = load_config(
        CONFIG, [*SIZE, *changes, *overrides, f"seed={seed}", f"output={output}", f"data.cache={folder / 'cache'}"]
    )
    if not (output / "checkpoints" / f"step-{steps}").exists():
        output.mkdir(exist_ok=True)
        if (learned := folder / "tokenizer.model").exists():  # shared by all runs
            shutil.copy(learned, output)
        train(config)
        shutil.copy(output / "tokenizer.model", folder)
    lines = (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [found for line in lines if "valid_loss" in (found := json.loads(line))]


def print_table(runs: dict[tuple[str, int], list[dict[str, float]]]) -> None:
    """Print the validation losses, one row per run."""
    marks = [int(found["step"]) for found in next(iter(runs.values()))]
    print(f"| run | seed | {' | '.join(f'loss at {mark}' for mark in marks)} |")
    print("|---" * (len(marks) + 2) + "|")
    for (name, seed), found in sorted(runs.items()):
        losses = " | ".join(f"{one['valid_loss']:.3f}" for one in found)
        print(f"| {name} | {seed} | {losses} |", flush=True)


def draw(runs: dict[tuple[str, int], list[dict[str, float]]], path: Path) -> None:
    """Plot the validation loss by step with and without vectors, one line per run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for (name, seed), found in sorted(runs.items()):
        if name in ("random", "vectors"):
            steps, losses = [one["step"] for one in found], [one["valid_loss"] for one in found]
            style = "--" if name == "random" else "-"
            label = "from vectors" if name == "vectors" else "random initialization"
            axes.plot(steps, losses, "o" + style, label=f"{label}, seed {seed}")
    axes.set_xlabel("step")
    axes.set_ylabel("validation loss, nats per token")
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train, print and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="parent of the run directories")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    vectors = folder / "words.vec"
    if not vectors.exists():
        write_vectors(vectors)
    runs = {}
    for seed, name in product(arguments.seeds, arguments.kinds):
        overrides = tuple(override.format(vectors=vectors) for override in KINDS[name])
        runs[name, seed] = run(folder, name, seed, arguments.steps, overrides)
    print_table(runs)
    if arguments.picture:
        draw(runs, arguments.picture)


if __name__ == "__main__":
    main()
