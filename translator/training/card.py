"""The model card: `README.md` of a model directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from translator.atomic_io import atomic_write
from translator.checkpoint import CARD_FILE
from translator.config import Config, Source
from translator.training.precision import Precision
from translator.training.state import TrainingState


def write_card(
    run: Path, config: Config, corpus_report: str, state: TrainingState, num_parameters: int, precision: Precision
) -> None:
    """Write the card: the model, its training data, and its validation results.

    Args:
        run: run directory.
        config: configuration of the run.
        corpus_report: table of the training data.
        state: state after the last step.
        num_parameters: number of parameters of the model.
        precision: precision and processor of the run.
    """
    data, model = config.data, config.model
    layers = {
        "encoder_decoder": f"{model.encoder_layers}+{model.decoder_layers}",
        "encoder_only": f"{model.encoder_layers}",
        "decoder_only": f"{model.decoder_layers}",
    }
    title, command = _use(run, config)
    atomic_write(
        run / CARD_FILE,
        f"""# {title}

A Transformer ({model.architecture}) of {num_parameters:,} parameters ({layers[model.architecture]} layers, d_model
{model.d_model}, d_ff {model.d_ff}), trained for {state.step:,} steps on
{state.target_tokens:,} target tokens with seed {config.seed},
precision {precision}. config.yaml holds every option.{_alignment(config)}

    {command}

## Data

{_sources("Training", data.train)}

{_sources("Validation", data.valid)}

```
{corpus_report}
```

The licenses of these sources apply to what is made with them. Name them here before you publish the model.

## Validation

Loss in nats per target token without label smoothing; scores are of at most
{config.training.valid_decode_examples:,} examples. `translator evaluate` gives scores on test data.

{_validations(run)}
""",
    )


def _use(run: Path, config: Config) -> tuple[str, str]:
    """Return the title of the card, and a command that uses the model."""
    data = config.data
    match config.training.objective:
        case "translation":
            return (
                f"{data.source_language} to {data.target_language}",
                f"translator translate {run.name} < in.{data.source_language} > out.{data.target_language}",
            )
        case "language_modeling":
            return "A language model", f'translator generate {run.name} "a prompt"'
        case "classification":
            return f"A classifier: {', '.join(data.labels)}", f"translator classify {run.name} < texts > labels"
        case objective:
            return f"Pre-trained: {objective}", f"translator train config.yaml training.start_from={run.name}"


def _alignment(config: Config) -> str:
    """Return a line that names the head for word alignments; an empty text for the mean over heads."""
    model, weight = config.model, config.training.guided_alignment_weight
    if model.alignment_head is None:
        return ""
    layer = model.alignment_layer or model.decoder_layers
    trained = f" It was trained for them with weight {weight:g}." if weight else ""
    return f"\nHead {model.alignment_head} of decoder layer {layer} gives word alignments.{trained}"


def _validations(run: Path) -> str:
    """Return the last validations as a table."""
    lines = [line for line in _metrics(run) if any(name.startswith("valid_") for name in line)]
    names = list(dict.fromkeys(name for line in lines for name in line if name.startswith("valid_")))
    head = f"| step | {' | '.join(name.removeprefix('valid_') for name in names)} |\n|---:|{'---:|' * len(names)}"
    rows = [
        f"| {line['step']} | " + " | ".join(f"{line[name]:.2f}" if name in line else "" for name in names) + " |"
        for line in lines[-10:]
    ]
    return "\n".join([head, *rows]) if lines else "None."


def _sources(title: str, sources: tuple[Source, ...]) -> str:
    lines = [f"- {json.dumps(source.model_dump(mode='json'), ensure_ascii=False)}" for source in sources]
    return f"{title}:\n\n" + ("\n".join(lines) or "- none")


def _metrics(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
