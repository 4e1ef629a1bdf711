"""The model card: README.md of a model directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from translator.checkpoint import CARD_FILE, write_text
from translator.config import Config, Source
from translator.training.state import TrainingState


def write_card(run: Path, config: Config, corpus_report: str, state: TrainingState) -> None:
    """Say what the model is, what it learned from and how well it does on validation data."""
    data, model, training = config.data, config.model, config.training
    parameters = sum(weight.numel() for weight in state.decoding_weights().values())
    validations = [line for line in _metrics(run) if any(name.startswith("valid_") for name in line)]
    rows = "\n".join(
        f"| {line['step']} | "
        + " | ".join(f"{line[name]:.2f}" if name in line else "" for name in ("valid_loss", "valid_bleu", "valid_chrf"))
        + " |"
        for line in validations[-10:]
    )
    write_text(
        run / CARD_FILE,
        f"""# {data.source_language} to {data.target_language}

A Transformer of {parameters:,} parameters ({model.encoder_layers}+{model.decoder_layers} layers, d_model
{model.d_model}, d_ff {model.d_ff}), trained for {state.step:,} steps on
{state.target_tokens:,} target tokens with seed {config.seed}. config.yaml holds every option.

    translator translate {run.name} < in.{data.source_language} > out.{data.target_language}

## Data

{_sources("Training", data.train)}
{_sources("Validation", data.valid)}

```
{corpus_report}
```

The licences of these sources apply to what is made with them; name them here before you publish the model.

## Validation

Loss in nats per token without label smoothing; sacreBLEU's BLEU and chrF of greedy translations of at most
{training.valid_decode_examples:,} pairs. `translator evaluate` gives scores on test data with their signatures.

| step | loss | BLEU | chrF |
|---:|---:|---:|---:|
{rows}
""",
    )


def _sources(title: str, sources: tuple[Source, ...]) -> str:
    lines = [f"- {json.dumps(source.model_dump(mode='json'), ensure_ascii=False)}" for source in sources]
    return f"{title}:\n\n" + ("\n".join(lines) or "- none")


def _metrics(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
