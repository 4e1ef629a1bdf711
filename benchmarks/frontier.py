"""Predicted costs of configs/frontier.yaml, and a small version of it that runs to the end on a CPU.

    python benchmarks/frontier.py costs      # the tables of docs/frontier.md
    python benchmarks/frontier.py small      # a hundredth of the parameters: check, train, interrupt, resume, translate

The costs are arithmetic: nothing is measured on a GPU. Multiplications and additions count as two operations; the
backward pass takes twice the operations of the forward pass.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from translator.config import ModelConfig, load_config

CONFIG = Path(__file__).parents[1] / "configs" / "frontier.yaml"
EMBEDDED = Path(__file__).parents[1] / "translator" / "data" / "embedded"
VOCABULARY = 32_000
SOURCE_PER_TARGET = 1.15  # French tokens per English token
MEAN_LENGTH = 28  # target tokens of a sentence, for attention
# NVIDIA DeepLearningExamples, Transformer-big on one A100-40 in AMP: 82,059 target tokens/s, 312 TFLOP/s dense.
BASELINE_RATE, BASELINE_PEAK = 82_059, 312e12
PEAK = 989e12  # FLOP/s of an H100 SXM, dense bfloat16
DOLLARS_PER_HOUR = 2.0  # assumed price of one H100
DOLLARS = 10.0
SHAPES = ((6, 6), (8, 2), (10, 2), (12, 1))

# A hundredth of the parameters (1.9 million) and of the tokens of a step.
SMALL = [
    "model.d_model=128", "model.d_ff=512", "model.encoder_heads=4", "model.decoder_heads=4",
    "model.encoder_layers=6", "model.max_positions=128", "tokenizer.vocab_size=2000", "training.step_tokens=1310",
    "training.cuda_graphs=false", "training.compile=false", "training.precision=float32", "training.data_workers=0",
    "training.valid_decode_examples=100", "decoding.beam_size=2", "training.learning_rate=0.003",
]  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Parameters and operations of a model.

    Attributes:
        parameters: number of parameters; one matrix for all embeddings.
        training: operations per target token, forward and backward.
        decoding: operations per target token of greedy decoding, without the encoder.
    """

    parameters: int
    training: float
    decoding: float


def cost(model: ModelConfig, vocabulary: int = VOCABULARY) -> Cost:
    """Return the cost of an encoder-decoder; norms and biases are too small to count."""
    d, feed_forward = model.d_model, 2 * model.d_model * model.d_ff
    encoder = model.encoder_layers * (4 * d * d + feed_forward)
    decoder = model.decoder_layers * (8 * d * d + feed_forward)
    output = vocabulary * d
    # Scores and weighted sums: 2 * d products per pair of positions; half of them are visible to a causal layer.
    source = MEAN_LENGTH * SOURCE_PER_TARGET
    encoder_attention = model.encoder_layers * 2 * d * source
    decoder_attention = model.decoder_layers * 2 * d * (MEAN_LENGTH / 2 + source)
    products = SOURCE_PER_TARGET * (encoder + encoder_attention) + decoder + decoder_attention + output
    return Cost(encoder + decoder + output, 6 * products, 2 * (decoder + decoder_attention + output))


def rate(of: Cost) -> float:
    """Return the target tokens per second that an H100 would train on at the baseline's share of its peak."""
    big = ModelConfig(d_model=1024, d_ff=4096, encoder_heads=16, decoder_heads=16)
    share = BASELINE_RATE * cost(big).training / BASELINE_PEAK
    return share * PEAK / of.training


def print_costs() -> None:
    """Print the table of shapes, and the plan of the configuration, in Markdown."""
    config = load_config(CONFIG)
    seconds = 3600 * DOLLARS / DOLLARS_PER_HOUR
    print("| layers | parameters, M | MFLOP per target token | predicted tokens/s | tokens for $10 | decoding, MFLOP |")
    print("|---|---:|---:|---:|---:|---:|")
    for encoder_layers, decoder_layers in SHAPES:
        sizes = {"encoder_layers": encoder_layers, "decoder_layers": decoder_layers}
        shape = cost(config.model.model_copy(update=sizes))
        print(
            f"| {encoder_layers}+{decoder_layers} | {shape.parameters / 1e6:.0f} | {shape.training / 1e6:,.0f} | "
            f"{rate(shape):,.0f} | {rate(shape) * seconds / 1e9:.1f} G | {shape.decoding / 1e6:.0f} |"
        )
    chosen, step_tokens = cost(config.model), config.training.step_tokens or 0
    tokens = step_tokens * config.training.max_steps
    hours, share = tokens / rate(chosen) / 3600, rate(chosen) * chosen.training / PEAK
    print(f"\nparameters          {chosen.parameters:,}")
    print(f"steps               {config.training.max_steps:,} of {step_tokens:,} target tokens")
    print(f"target tokens       {tokens:,} ({tokens / chosen.parameters:.1f} per parameter)")
    print(f"predicted rate      {rate(chosen):,.0f} target tokens/s, {share:.0%} of the peak")
    print(f"predicted time      {hours:.1f} h of steps")
    print(f"predicted price     ${hours * DOLLARS_PER_HOUR:.2f} of steps at ${DOLLARS_PER_HOUR:.2f} per hour")
    fixed = chosen.parameters * 4 * (1 + 1 + 2 + 1) + chosen.parameters * 2
    print(f"memory, fixed       {fixed / 2**30:.1f} GiB: weights, average, two moments, gradients, a bfloat16 copy")


def local_data(folder: Path) -> list[str]:
    """Write the embedded corpus as a local data set of the form that the hub's has, and return options that name it."""
    data = folder / "data-set"
    data.mkdir(parents=True, exist_ok=True)
    for part, split in (("train", "train"), ("valid", "validation"), ("test", "test")):
        shutil.copy(EMBEDDED / f"phrasebook-{part}.parquet", data / f"{split}-00000-of-00001.parquet")
    return [
        f"data.train={{hub: {data}, split: train, streaming: true}}",
        f"data.valid={{hub: {data}, split: validation, max_examples: 300}}",
        f"data.test={{hub: {data}, split: test, max_examples: 300}}",
        f"data.cache={folder / 'cache'}",
        f"output={folder / 'run'}",
    ]


def run_small(folder: Path, max_steps: int) -> None:
    """Check, train with an interruption, and translate."""
    every = max(1, max_steps // 4)
    schedule = [f"training.warmup_steps={max(1, max_steps // 15)}", f"training.save_every={every}"]
    schedule += [
        f"training.max_steps={max_steps}",
        f"training.validate_every={2 * every}",
        f"training.log_every={every}",
    ]
    command = [sys.executable, "-m", "translator"]
    options = [str(CONFIG), *SMALL, *local_data(folder), *schedule]
    subprocess.run([*command, "check", *options], check=True)
    train = [*command, "train", *options]
    with subprocess.Popen(train) as process:
        while process.poll() is None and not (folder / "run" / "checkpoints" / f"step-{every}").exists():
            time.sleep(0.1)
        process.terminate()  # it saves, and ends with 143
    subprocess.run(train, check=True)  # resumes
    subprocess.run([*command, "translate", str(folder / "run"), "Où est la gare ?"], check=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["costs", "small"])
    parser.add_argument("--folder", type=Path, default=Path("runs/frontier-small"), help="of the small version")
    parser.add_argument("--steps", type=int, default=300, help="of the small version, a hundredth (default: 300)")
    options = parser.parse_args()
    if options.what == "costs":
        print_costs()
    else:
        run_small(options.folder.absolute(), options.steps)


if __name__ == "__main__":
    main()
