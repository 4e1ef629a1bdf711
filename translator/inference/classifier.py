"""`Classifier`: text in, label out, regardless of the other texts in a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import torch

from translator.checkpoint import LoadedModel
from translator.checkpoint.location import find_model
from translator.decoding.errors import DecodingError
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
        source: the text as it was read; what was no valid text is replaced by U+FFFD.
        label: the most probable one; empty for an empty text.
        probabilities: of every label.
        flags: what is worth knowing: `empty` (nothing to classify), `invalid_bytes` (replaced), `split` (longer than
            the model takes: the mean over its parts, by their numbers of pieces).
    """

    source: str
    label: str
    probabilities: dict[str, float]
    flags: tuple[str, ...] = ()

    @property
    def probability(self) -> float:
        """Of the label; 0 for an empty text."""
        return self.probabilities.get(self.label, 0.0)


class Classifier:
    """A model with its tokenizer and its labels.

    Args:
        model: with a classifier, in evaluation mode, on the device that computes.
        tokenizers: those that it was trained with.
        labels: in the order of its outputs.
        device: where the model is.
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
        cls, name_or_path: str | Path, device: str = "auto", threads: int | None = None, precision: str = "float32"
    ) -> Classifier:
        """Load a model to classify with; arguments and errors as in `Translator.load`.

        Raises:
            DecodingError: it is no classifier; or there is no such device, or `threads` is out of range.
        """
        return cls.of(*load_to_decode(find_model(name_or_path), device, threads, precision))

    @classmethod
    def of(cls, loaded: LoadedModel, device: torch.device | str = "cpu") -> Classifier:
        """A classifier around what `load_model` gives, on the device that it was loaded to."""
        require_objective(loaded, "classification")
        assert isinstance(loaded.model, EncoderOnly)
        return cls(loaded.model, loaded.tokenizers, loaded.config.data.labels, device)

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self, texts: str, *, batch_tokens: int = ...
    ) -> Classification: ...
    @overload
    def classify(self, texts: Iterable[str], *, batch_tokens: int = ...) -> list[Classification]: ...
    def classify(
        self, texts: str | Iterable[str], *, batch_tokens: int = _BATCH_TOKENS
    ) -> Classification | list[Classification]:
        """Classify one text, or many.

        Args:
            texts: one text or several; a line break in a text is white space.
            batch_tokens: tokens read together; the result does not depend on it.

        Raises:
            DecodingError: an argument is no text, or out of its range.
        """
        require_positive("batch_tokens", batch_tokens)
        given = read_texts(texts)
        sources = [clean(text) for text in given]
        parts = [self._parts(source) for source in sources]
        judged = self._judge([part for some in parts for part in some], batch_tokens)
        found = [
            self._classification(text, source, some, judged)
            for text, source, some in zip(given, sources, parts, strict=True)
        ]
        return found[0] if isinstance(texts, str) else found

    def _parts(self, source: str) -> list[tuple[int, ...]]:
        """The pieces of a text, in as many parts as the model needs; none if it is empty."""
        encode, longest = self.tokenizer.encode, self.model.max_positions - 1
        ids = encode(source)
        if len(ids) <= longest:
            return [tuple(ids)] if ids else []
        texts = split_text(source, lambda text: len(encode(text)) <= longest)
        return [tuple(some[:longest]) for text in texts if (some := encode(text))]

    @torch.inference_mode()
    def _judge(self, parts: Sequence[tuple[int, ...]], batch_tokens: int) -> dict[tuple[int, ...], list[float]]:
        """The probabilities of each part; equal parts are judged once."""
        unique = list(dict.fromkeys(parts))
        judged: dict[tuple[int, ...], list[float]] = {}
        for batch in group_by_length([len(part) + 1 for part in unique], batch_tokens):
            chosen = [unique[number] for number in batch]
            source = Packed.from_sequences([[*part, EOS_ID] for part in chosen]).to(self.device)
            probabilities = self.model.class_logits(source).softmax(dim=-1)
            if not bool(probabilities.isfinite().all()):
                raise DecodingError(
                    "A model must give finite logits. Received: NaN. Its weights are damaged, or its training diverged."
                )
            judged.update(zip(chosen, probabilities.tolist(), strict=True))
        return judged

    def _classification(
        self,
        text: str,
        source: str,
        parts: Sequence[tuple[int, ...]],
        judged: dict[tuple[int, ...], list[float]],
    ) -> Classification:
        """A text's label from its parts, each counting by its pieces."""
        flags = ("invalid_bytes",) if text != source else ()
        if not parts:
            return Classification(source, "", {}, (*flags, "empty"))
        total = sum(map(len, parts))
        mean = [sum(len(part) / total * judged[part][number] for part in parts) for number in range(len(self.labels))]
        best = max(range(len(mean)), key=mean.__getitem__)
        flags = (*flags, "split") if len(parts) > 1 else flags
        return Classification(source, self.labels[best], dict(zip(self.labels, mean, strict=True)), flags)
