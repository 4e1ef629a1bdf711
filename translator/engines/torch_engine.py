"""`TorchEngine`: decoding and scoring with a PyTorch model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.decodable import Decodable
from translator.decoding.ensemble import Ensemble, log_mean
from translator.decoding.request import Request
from translator.decoding.search import search
from translator.engines.base import Pair, group_by_length, tokens_per_batch
from translator.engines.continuation import Continuation
from translator.engines.coverage import search_with_coverage, uses_coverage
from translator.engines.cross_attention import cross_attention_weights
from translator.engines.scoring import token_log_probabilities
from translator.engines.workers import SingleThreadWorkers
from translator.model import DecoderOnly, EncoderDecoder
from translator.model.static_decoding import StaticDecoder


class TorchEngine:
    """An `Engine` around a model in evaluation mode. Calls from several threads may overlap.

    Args:
        model: the model, on `device`.
        device: device that computes.
        is_language_model: True if sources are prompts that the output continues.
        ensemble: further models with the same vocabularies, on `device`; probabilities are the mean over all models.
    """

    serves_terms = True

    def __init__(
        self,
        model: EncoderDecoder | DecoderOnly,
        device: torch.device | str = "cpu",
        *,
        is_language_model: bool = False,
        ensemble: Sequence[EncoderDecoder | DecoderOnly] = (),
    ) -> None:
        self.model = model
        self._models = (model, *ensemble)
        self.device = torch.device(device)
        self._is_language_model = is_language_model
        self._workers = SingleThreadWorkers()
        self._turn: Any = nullcontext()
        members = [self._decodable_of(each) for each in self._models]
        self._decodable: Decodable[Any] = members[0] if len(members) == 1 else Ensemble(members)

    def _decodable_of(self, model: EncoderDecoder | DecoderOnly) -> Decodable[Any]:
        if self._is_language_model:
            assert isinstance(model, DecoderOnly)
            return Continuation(model)
        if self.device.type == "cuda" and isinstance(model, EncoderDecoder):
            self._turn = Lock()  # its memory serves one search at a time
            return StaticDecoder(model)
        return model

    @property
    def max_positions(self) -> int:
        """See `Engine`."""
        return min(model.max_positions for model in self._models)

    @property
    def shares_positions(self) -> bool:
        """See `Engine`."""
        return any(isinstance(model, DecoderOnly) for model in self._models)

    @property
    def _has_cross_attention(self) -> bool:
        return isinstance(self.model, EncoderDecoder) and len(self._models) == 1

    def unsupported(self, options: DecodingOptions) -> list[str]:
        """See `Engine`: all options, but a decoder-only model or an ensemble has no cross-attention to use."""
        if self._has_cross_attention:
            return []
        return [name for name in ("alignment", "coverage_penalty") if getattr(options, name)]

    def search(self, requests: Sequence[Request], options: DecodingOptions) -> list[list[Candidate]]:
        """See `Engine`. On the CPU, `batch_tokens` tokens are decoded at a time, shared among torch's threads."""
        if uses_coverage(options) and self._has_cross_attention:
            return search_with_coverage(self.search, self.cross_attention, requests, options)
        lengths = [len(request.source) + 1 for request in requests]
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        batches = list(group_by_length(lengths, tokens_per_batch(lengths, options.batch_tokens, threads)))

        def search_batch(batch: Sequence[int]) -> list[list[Candidate]]:
            with self._turn:
                return search(self._decodable, [requests[number] for number in batch], options, self.device)

        results: list[list[Candidate]] = [[] for _ in requests]
        for batch, found in zip(batches, self._workers.map(search_batch, batches, threads), strict=True):
            for number, candidates in zip(batch, found, strict=True):
                results[number] = candidates
        return results

    def score(self, pairs: Sequence[Pair], batch_tokens: int) -> list[tuple[float, ...]]:
        """See `Engine`."""
        lengths = [max(len(source), len(target)) + 1 for source, target in pairs]
        if self.shares_positions:
            lengths = [len(source) + len(target) + 2 for source, target in pairs]
        scores: list[tuple[float, ...]] = [() for _ in pairs]
        for batch in group_by_length(lengths, batch_tokens):
            sources = None if self._is_language_model else [pairs[number][0] for number in batch]
            targets = [pairs[number][1] for number in batch]
            found = [token_log_probabilities(model, sources, targets, self.device) for model in self._models]
            for number, *values in zip(batch, *found, strict=True):
                scores[number] = values[0] if len(values) == 1 else _mean(values)
        return scores

    def cross_attention(self, pairs: Sequence[Pair], batch_tokens: int) -> list[Tensor]:
        """See `Engine` and `cross_attention_weights`."""
        assert isinstance(self.model, EncoderDecoder)
        lengths = [max(len(source), len(target)) + 1 for source, target in pairs]
        weights: list[Tensor] = [torch.empty(0)] * len(pairs)
        for batch in group_by_length(lengths, batch_tokens):
            sources, targets = ([pairs[number][side] for number in batch] for side in range(2))
            found = cross_attention_weights(self.model, sources, targets, self.device)
            for number, each in zip(batch, found, strict=True):
                weights[number] = each
        return weights


def _mean(scores: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return the logarithm of the mean probability of each token over the models."""
    return tuple(log_mean([torch.tensor(each) for each in scores]).tolist())
