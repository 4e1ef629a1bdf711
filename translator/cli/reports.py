"""What `translator evaluate` reports of models that do not translate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from translator.cli.lines import write_line

if TYPE_CHECKING:
    import torch

    from translator.checkpoint import LoadedModel
    from translator.config import Config, Source


def classification_report(
    loaded: LoadedModel,
    device: torch.device,
    sources: Sequence[Source],
    output: BinaryIO | None,
    *,
    has_baselines: bool,
) -> tuple[dict[str, Any], str]:
    """Classify and score: accuracy and confusions, with baselines beside what must be beaten."""
    from translator.data.corpus import read_rows
    from translator.evaluation.classification import confusion_table, score_labels
    from translator.inference.classifier import Classifier

    rows = list(read_rows(sources, loaded.config.data, "labelled"))
    texts, right = [row[0] for row in rows], [row[1] for row in rows]
    classifier = Classifier.of(loaded, device)
    score_labels(right, right, classifier.labels)  # what cannot be scored is said before the work
    given = [found.label for found in classifier.classify(texts)]
    if output is not None:
        for label in given:
            write_line(output, label)
    scores = score_labels(given, right, classifier.labels)
    report = scores.as_dict()
    lines = [f"{scores.num_examples:,} texts", f"accuracy {scores.accuracy:6.2f} %", "", confusion_table(scores)]
    if has_baselines:
        report["baselines"] = _baselines(loaded.config, texts, right)
        lines += ["", *(f"{name:<14} {value:6.2f} %" for name, value in report["baselines"].items())]
    return report, "\n".join(lines)


def _baselines(config: Config, texts: Sequence[str], right: Sequence[str]) -> dict[str, float]:
    """Accuracy, in percent, of what sees no order of words."""
    from translator.baselines import BagOfWords, Majority, accuracy
    from translator.data.corpus import read_rows

    train, valid = (
        [(row[0], row[1]) for row in read_rows(part, config.data, "labelled")]
        for part in (config.data.train, config.data.valid)
    )
    return {
        "most frequent": 100.0 * accuracy(Majority(train).predict(texts), right),
        "bag of words": 100.0 * accuracy(BagOfWords(train, valid).predict(texts), right),
    }


def perplexity_report(
    loaded: LoadedModel, device: torch.device, sources: Sequence[Source]
) -> tuple[dict[str, Any], str]:
    """Predict every piece of a test set: perplexity, and bits a byte."""
    from translator.data.corpus import read_rows
    from translator.evaluation.perplexity import perplexity
    from translator.inference.generator import Generator

    texts = [row[0] for row in read_rows(sources, loaded.config.data, "texts")]
    found = perplexity(texts, Generator.of(loaded, device).token_log_probabilities(texts))
    table = [
        f"{found.num_examples:,} texts, {found.num_tokens:,} tokens",
        f"perplexity {found.perplexity:10.3f}  a token ({found.loss:.4f} nats)",
        f"bits       {found.bits_per_byte:10.3f}  a byte",
    ]
    return found.as_dict(), "\n".join(table)
