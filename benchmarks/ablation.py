"""Ablation of a configuration: trains variants with two seeds each and tabulates validation loss and BLEU.

    python benchmarks/ablation.py runs/ablation --steps 600
    python benchmarks/ablation.py runs/ablation --steps 600 --only "sinusoidal positions" --override data.cache=cache

All variants train for the same number of steps of as many target tokens, and the learning rate ends at zero. VARIANTS
lists their overrides. Complete runs are not repeated, so the script can be stopped, and run several times in parallel
with different `--only`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

CONFIG = "configs/multi30k.yaml"
SEEDS = (1, 2)
VARIANTS = {
    "unchanged": [],
    "AdamW, half the rate": ["training.optimizer=adamw", "training.learning_rate=0.002"],
    "sinusoidal positions": ["model.positions=sinusoidal"],
    "post-norm": ["model.norm=post"],
    "post-norm, half the rate": ["model.norm=post", "training.learning_rate=0.002"],
    "6+1 layers": ["model.encoder_layers=6", "model.decoder_layers=1", "model.d_ff=544"],
    "3+4 layers": ["model.encoder_layers=3", "model.decoder_layers=4", "model.d_ff=464"],
    "separate vocabularies": ["tokenizer.joint=false", "tokenizer.vocab_size=2000", "model.tied_embeddings=target"],
    "dropout 0.1": ["model.dropout=0.1"],
    "dropout 0.2": ["model.dropout=0.2"],
    "no label smoothing": ["training.label_smoothing=0"],
    "subword sampling": ["tokenizer.sampling_alpha=0.3"],
    "no moving average": ["training.ema_decay=0"],
}


def train(variant: str, seed: int, folder: Path, steps: int, overrides: list[str]) -> dict[str, float]:
    """Train one variant, unless its run is complete, and return the metrics of its last validation."""
    run = folder / f"{variant.replace(' ', '-').replace(',', '')}-{seed}"
    last = _last_validation(run)
    if last is None or last["step"] < steps:
        schedule = [f"training.max_steps={steps}", f"training.warmup_steps={steps // 6}"]
        schedule += [
            f"training.validate_every={steps}",
            f"training.save_every={steps}",
            f"training.log_every={steps // 4}",
        ]
        settings = [f"output={run}", f"seed={seed}", *schedule, *overrides, *VARIANTS[variant]]
        subprocess.run([sys.executable, "-m", "translator", "train", CONFIG, *settings], check=True)
        last = _last_validation(run)
        assert last is not None
    return last


def _last_validation(run: Path) -> dict[str, float] | None:
    metrics = run / "metrics.jsonl"
    lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.exists() else []
    validations = [row for row in map(json.loads, lines) if "valid_loss" in row]
    return validations[-1] if validations else None


def main() -> None:
    """Train and print a Markdown table: one row per variant with each seed's metrics and the mean BLEU."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="parent of the model directories")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--only", action="append", choices=VARIANTS, help="train only this variant; may be repeated")
    parser.add_argument("--override", action="append", default=[], help="section.key=value, applied to every run")
    options = parser.parse_args()
    print("| variant | validation loss | BLEU | chrF | mean BLEU |\n|---|---|---|---|---|")
    for variant in options.only or VARIANTS:
        runs = [train(variant, seed, options.folder, options.steps, options.override) for seed in SEEDS]
        cells = [
            " / ".join(f"{run[key]:.{digits}f}" for run in runs)
            for key, digits in (("valid_loss", 3), ("valid_bleu", 1), ("valid_chrf", 1))
        ]
        print(
            f"| {variant} | {' | '.join(cells)} | {statistics.mean(run['valid_bleu'] for run in runs):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
