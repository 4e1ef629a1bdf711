"""`Classifier`: text in, label out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import torch

from translator.checkpoint import LoadedModel
from translator.checkpoint.location import find_model
from translator.decoding.candidates import check_not_nan
from translator.engines.base import group_by_length
from translator.inference.loading import load_to_decode
from translator.inference.purpose import require_objective
from translator.inference.splitting import split_text
from translator.inference.texts import clean, read_texts, require_positive
from translator.model import EncoderOnly
from translator.packing import Packed
from translator.tokenizer import EOS_ID, Tokenizers

_BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Classification:
    """A text and its label.

    Attributes:
        source: text as it was read; invalid bytes are replaced by U+FFFD.
        label: most probable label; empty for an empty text.
        probabilities: probability of every label.
        flags: notes: `empty` (the text is empty), `invalid_bytes` (some were replaced), `split` (the text is longer
            than the model takes; its probabilities are the mean over its parts, weighted by their numbers of tokens).
    """

    source: str
    label: str
    probabilities: dict[str, float]
    flags: tuple[str, ...] = ()

    @property
    def probability(self) -> float:
        """Probability of the label; 0 for an empty text."""
        return self.probabilities.get(self.label, 0.0)


class Classifier:
    """A model with its tokenizer and its labels. A label does not depend on the other texts of a call.

    Args:
        model: model with a classifier, in evaluation mode, on `device`.
        tokenizers: tokenizers that the model was trained with.
        labels: labels in the order of the outputs of the model.
        device: device that computes.
    """

    def __init__(
        self, model: EncoderOnly, tokenizers: Tokenizers, labels: Sequence[str], device: torch.device | str = "cpu"
    ) -> None:
        self.model = model
        self.tokenizer = tokenizers.source
        self.labels = tuple(labels)
        self.device = torch.device(device)

    @classmethod
    def load(
        cls, name_or_path: str | Path, device: str = "auto", threads: int | None = None, precision: str | None = None
    ) -> Classifier:
        """Load a model to classify with; arguments and errors as in `Translator.load`.

        Raises:
            DecodingError: if the model is not a classifier, or if device, threads or precision cannot be used.
        """
        return cls.of(*load_to_decode(find_model(name_or_path), device, threads, precision))

    @classmethod
    def of(cls, loaded: LoadedModel, device: torch.device | str = "cpu") -> Classifier:
        """Return a classifier around the result of `load_model`, on the device that it was loaded to."""
        require_objective(loaded.config, loaded.path, "classification")
        assert isinstance(loaded.model, EncoderOnly)
        return cls(loaded.model, loaded.tokenizers, loaded.config.data.labels, device)

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self, texts: str, *, batch_tokens: int = ...
    ) -> Classification:
        """Classify one text."""

    @overload
    def classify(self, texts: Iterable[str], *, batch_tokens: int = ...) -> list[Classification]:
        """Classify several texts."""

    def classify(
        self, texts: str | Iterable[str], *, batch_tokens: int = _BATCH_TOKENS
    ) -> Classification | list[Classification]:
        """Classify one text or several.

        Args:
            texts: one text or several; a line break in a text is white space.
            batch_tokens: tokens classified together; the result does not depend on it.

        Raises:
            DecodingError: if a text is not a string or batch_tokens is out of range.
        """
        require_positive("batch_tokens", batch_tokens)
        given = read_texts(texts)
        sources = [clean(text) for text in given]
        parts = [self._parts(source) for source in sources]
        known = self._probabilities([part for some in parts for part in some], batch_tokens)
        found = [
            self._classification(text, source, some, known)
            for text, source, some in zip(given, sources, parts, strict=True)
        ]
        return found[0] if isinstance(texts, str) else found

    def _parts(self, source: str) -> list[tuple[int, ...]]:
        """Return the token ids of a text, in parts that fit the model; none for an empty text."""
        encode, longest = self.tokenizer.encode, self.model.max_positions - 1
        ids = encode(source)
        if len(ids) <= longest:
            return [tuple(ids)] if ids else []
        texts = split_text(source, lambda text: len(encode(text)) <= longest)
        return [tuple(some[:longest]) for text in texts if (some := encode(text))]

    @torch.inference_mode()
    def _probabilities(self, parts: Sequence[tuple[int, ...]], batch_tokens: int) -> dict[tuple[int, ...], list[float]]:
        """Return the probabilities of each part; equal parts are classified once."""
        unique = list(dict.fromkeys(parts))
        known: dict[tuple[int, ...], list[float]] = {}
        for batch in group_by_length([len(part) + 1 for part in unique], batch_tokens):
            chosen = [unique[number] for number in batch]
            source = Packed.from_sequences([[*part, EOS_ID] for part in chosen]).to(self.device)
            probabilities = self.model.class_logits(source).softmax(dim=-1)
            check_not_nan(float(probabilities.sum()))
            known.update(zip(chosen, probabilities.tolist(), strict=True))
        return known

    def _classification(
        self,
        text: str,
        source: str,
        parts: Sequence[tuple[int, ...]],
        known: dict[tuple[int, ...], list[float]],
    ) -> Classification:
        """Return the label of a text: the mean over its parts, weighted by their numbers of tokens."""
        flags = ("invalid_bytes",) if text != source else ()
        if not parts:
            return Classification(source, "", {}, (*flags, "empty"))
        total = sum(map(len, parts))
        mean = [sum(len(part) / total * known[part][number] for part in parts) for number in range(len(self.labels))]
        best = max(range(len(mean)), key=mean.__getitem__)
        flags = (*flags, "split") if len(parts) > 1 else flags
        return Classification(source, self.labels[best], dict(zip(self.labels, mean, strict=True)), flags)
